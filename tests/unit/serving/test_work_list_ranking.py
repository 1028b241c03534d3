"""The work list: the dearest calls first, no owner with more than can be done, nobody left out without a reason."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from configs.settings import ProfitSettings
from serving.accounts.work_list_ranking import CallCandidate, expected_values, select_calls

candidates = st.lists(
    st.builds(
        CallCandidate,
        account_id=st.uuids().map(str),
        owner=st.sampled_from(["ada", "ben", None]),
        value=st.floats(0, 1000),
        why_not=st.sampled_from([None, None, "in_cooldown"]),
    ),
    max_size=30,
).map(lambda these: sorted(these, key=lambda one: -one.expected_value))


def _candidate(account_id: str, owner: str | None = "ada", value: float = 10.0) -> CallCandidate:
    return CallCandidate(account_id, owner, value)


def test_a_call_is_worth_the_months_it_keeps_less_offer_and_call():
    profit = ProfitSettings(offer_cost=100, contact_cost=5, alpha=6, beta=14)
    found = expected_values(np.array([0.5, 0.5, 0.5]), np.array([100.0, 5.0, np.nan]), profit, months=12)
    assert found.tolist() == pytest.approx([0.5 * 0.3 * 1100 - 5, 0.5 * 0.3 * -40 - 5, 0.5 * 0.3 * -100 - 5])


def test_a_large_account_at_small_risk_can_come_before_a_small_one_at_large_risk():
    found = expected_values(np.array([0.1, 0.6]), np.array([5000.0, 50.0]), ProfitSettings(), months=12)
    assert found[0] > found[1]


def test_an_owner_gets_no_more_than_can_be_done_and_the_next_owner_is_asked():
    found = select_calls([*(_candidate(one) for one in "abc"), _candidate("d", "ben")], per_owner=2, most=9)
    assert [one.account_id for one in found.calls] == ["a", "b", "d"]
    assert [(one.account_id, one.why_not) for one in found.excluded] == [("c", "over_capacity")]
    assert "ada has 2 calls that are worth more" in found.excluded[0].because
    (one,) = select_calls([_candidate("a"), _candidate("b")], per_owner=1, most=9).excluded
    assert "ada has 1 call that is worth more" in one.because


def test_accounts_that_nobody_owns_share_one_capacity():
    found = select_calls([_candidate("a", None), _candidate("b", None)], per_owner=1, most=9)
    assert [one.account_id for one in found.calls] == ["a"]


def test_it_looks_at_no_more_candidates_than_it_needs():
    def endless():
        yield _candidate("a")
        raise AssertionError("nobody asked for a second one")

    assert len(select_calls(endless(), per_owner=5, most=1).calls) == 1


@given(candidates, st.integers(1, 5), st.integers(1, 10))
def test_everyone_looked_at_is_chosen_or_left_out_with_a_reason(these, per_owner, most):
    found = select_calls(these, per_owner, most)
    looked_at = {one.account_id for one in [*found.calls, *found.excluded]}
    assert len(looked_at) == len(found.calls) + len(found.excluded)
    assert all(one.why_not for one in found.excluded)
    assert not any(one.why_not for one in found.calls)
    assert sum(found.reason_counts.values()) == len(found.excluded)
    assert len(found.calls) == most or len(looked_at) == len(these)


@given(candidates, st.integers(1, 5), st.integers(1, 10))
def test_nobody_left_out_for_capacity_is_worth_more_than_those_their_owner_calls(these, per_owner, most):
    found = select_calls(these, per_owner, most)
    for owner in ("ada", "ben", None):
        calls = [one.expected_value for one in found.calls if one.owner == owner]
        full = [one.expected_value for one in found.excluded if one.owner == owner and one.why_not == "over_capacity"]
        assert len(calls) <= per_owner
        assert not full or (len(calls) == per_owner and max(full) <= min(calls))
