"""The work list: calls by value, no owner over capacity, and a reason for every excluded account."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from configs.sections.evaluation import ProfitSettings
from serving.accounts.work_list_ranking import CallCandidate, expected_values, select_calls

candidate_lists = st.lists(
    st.builds(
        CallCandidate,
        account_id=st.uuids().map(str),
        owner=st.sampled_from(["ada", "ben", None]),
        expected_value=st.floats(0, 1000),
        suppressed_reason=st.sampled_from([None, None, "in_cooldown"]),
    ),
    max_size=30,
).map(lambda candidates: sorted(candidates, key=lambda candidate: -candidate.expected_value))


def _candidate(account_id: str, owner: str | None = "ada") -> CallCandidate:
    return CallCandidate(account_id, owner, 10.0)


def _ids(candidates: tuple[CallCandidate, ...]) -> list[str]:
    return [candidate.account_id for candidate in candidates]


def test_a_call_is_worth_the_revenue_it_keeps_less_its_costs():
    profit = ProfitSettings(offer_cost=100, contact_cost=5, alpha=6, beta=14)
    values = expected_values(np.array([0.5, 0.5, 0.5]), np.array([100.0, 5.0, np.nan]), profit, months=12)
    assert values.tolist() == pytest.approx([0.5 * 0.3 * 1100 - 5, 0.5 * 0.3 * -40 - 5, 0.5 * 0.3 * -100 - 5])


def test_a_large_account_at_low_risk_may_rank_first():
    large, small = expected_values(np.array([0.1, 0.6]), np.array([5000.0, 50.0]), ProfitSettings(), months=12)
    assert large > small


def test_calls_over_an_owners_capacity_are_excluded():
    candidates = [*(_candidate(name) for name in "abc"), _candidate("d", "ben")]
    work_list = select_calls(candidates, per_owner=2, limit=9)
    assert _ids(work_list.calls) == ["a", "b", "d"]
    (excluded,) = work_list.excluded
    assert (excluded.account_id, excluded.suppressed_reason) == ("c", "over_capacity")
    assert excluded.rationale == "ada already has 2 calls of higher value"


def test_accounts_without_an_owner_share_one_capacity():
    work_list = select_calls([_candidate("a", None), _candidate("b", None)], per_owner=1, limit=9)
    assert _ids(work_list.calls) == ["a"]
    assert work_list.excluded[0].rationale == "accounts without an owner already have 1 call of higher value"


def test_no_more_candidates_are_read_than_needed():
    def candidates():
        yield _candidate("a")
        raise AssertionError("a second candidate was read")

    assert _ids(select_calls(candidates(), per_owner=5, limit=1).calls) == ["a"]


@given(candidate_lists, st.integers(1, 5), st.integers(1, 10))
def test_every_candidate_is_called_or_excluded_with_a_reason(candidates, per_owner, limit):
    work_list = select_calls(candidates, per_owner, limit)
    calls, excluded = _ids(work_list.calls), _ids(work_list.excluded)
    assert not set(calls) & set(excluded)
    assert all(candidate.suppressed_reason for candidate in work_list.excluded)
    assert not any(candidate.suppressed_reason for candidate in work_list.calls)
    assert sum(work_list.reason_counts.values()) == len(excluded)
    assert len(calls) == limit or len(calls) + len(excluded) == len(candidates)


@given(candidate_lists, st.integers(1, 5), st.integers(1, 10))
def test_excluded_accounts_are_worth_less_than_the_calls(candidates, per_owner, limit):
    work_list = select_calls(candidates, per_owner, limit)
    for owner in ("ada", "ben", None):
        calls = [call.expected_value for call in work_list.calls if call.owner == owner]
        over = [
            candidate.expected_value
            for candidate in work_list.excluded
            if candidate.owner == owner and candidate.suppressed_reason == "over_capacity"
        ]
        assert len(calls) <= per_owner
        assert not over or (len(calls) == per_owner and max(over) <= min(calls))
