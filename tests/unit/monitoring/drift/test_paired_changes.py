"""Paired changes: known answers on small tables."""

import numpy as np
import pandas as pd
import pytest

from monitoring.drift.paired_changes import TENFOLD, TOGETHER, VALUE, Aspect, Change, measure_changes

RANKS = pd.Series(np.arange(100.0))


def changes_of(before: pd.Series, after: pd.Series) -> dict[str, float]:
    measured = measure_changes(before.to_frame("s"), after.to_frame("s"))
    return {str(aspect): round(change.mean, 4) for aspect, change in measured.items()}


def test_a_number_moves_on_the_scale_of_the_earlier_ranks():
    assert changes_of(RANKS, RANKS + 10)["s"] == 0.095  # 10 ranks, less at the top
    assert changes_of(RANKS, RANKS * 1000)["s"] == changes_of(RANKS / 1000, RANKS)["s"] > 0.45


@pytest.mark.parametrize(("factor", "share"), [(100, 1.0), (0.01, -1.0), (0, -1.0), (-1, 0.0), (9, 0.0)])
def test_a_change_of_unit_and_a_stop_is_made_by_all(factor, share):
    assert changes_of(RANKS + 1, (RANKS + 1) * factor)[f"s: {TENFOLD}"] == share


def test_leaving_zero_and_falling_to_it_cancel():
    before = RANKS % 2
    assert changes_of(before, 1 - before)[f"s: {TENFOLD}"] == 0.0


def test_the_signals_of_a_family_are_compared_together_each_in_its_direction():
    generator = np.random.default_rng(0)
    common = generator.normal(size=200)
    noise = generator.normal(size=(200, 2, 2))
    before = pd.DataFrame({"uses": common + noise[:, 0, 0], "idle_days": -common + noise[:, 0, 1]})
    after = pd.DataFrame({"uses": common + noise[:, 1, 0] + 0.5, "idle_days": -common + noise[:, 1, 1] - 0.5})
    changes = measure_changes(before, after, {"usage": ["uses", "idle_days"]})
    alone = [changes[Aspect(name, VALUE)] for name in ("uses", "idle_days")]
    together = changes[Aspect("usage", TOGETHER)]
    assert alone[0].mean > 0 > alone[1].mean
    assert abs(together.mean) == pytest.approx((alone[0].mean - alone[1].mean) / 2)
    assert together.statistic(0.0) > max(change.statistic(0.0) for change in alone)


def test_what_may_have_been_chance_does_not_count():
    assert Change(-0.1, 0.04, 100).beyond_chance(2) == pytest.approx(0.06)
    assert Change(0.1, 0.04, 10).beyond_chance(2) == 0.0


def test_values_that_are_equal_have_not_moved():
    assert set(changes_of(RANKS * 0, RANKS * 0).values()) == {0.0}


def test_a_value_that_goes_missing_counts_as_missing_only():
    assert changes_of(RANKS, RANKS.where(RANKS >= 30)) == {"s: missing": 0.3, "s": 0.0, f"s: {TENFOLD}": 0.0}


def test_each_category_and_a_new_one_is_a_share():
    before, after = pd.Series(["a"] * 6 + ["b"] * 4), pd.Series(["a"] * 5 + ["b"] * 3 + ["c"] + [None])
    expected = {"s: missing": 0.1, "s: a": -0.1, "s: b": -0.1, "s: a new category": 0.1}
    assert changes_of(before, after) == expected


def test_too_few_values_have_no_ranks():
    assert changes_of(RANKS[:19], RANKS[:19] + 10) == {"s: missing": 0.0}


def test_nobody_on_both_days_gives_no_changes():
    assert measure_changes(RANKS[:0].to_frame("s"), RANKS[:0].to_frame("s")) == {}


def test_the_statistic_cannot_exceed_the_root_of_the_accounts():
    certain = Change(mean=0.5, variance=0.0, accounts=25)
    assert certain.statistic(0.1) == pytest.approx(5.0)
    assert certain.smallest_visible(0.1, critical=5.1) is None


@pytest.mark.parametrize("accounts", [40, 100, 1_000])
def test_the_smallest_visible_change_is_just_visible(accounts):
    visible = Change(0.0, 0.01, accounts).smallest_visible(0.05, critical=5.0)
    assert visible is not None
    assert Change(visible, max(0.01, 1 / accounts), accounts).statistic(0.05) == pytest.approx(5.0)


def test_changes_are_compared_in_both_directions():
    assert Change(-0.3, 0.04, 100).statistic(0.1) == Change(0.3, 0.04, 100).statistic(0.1) > 0


def test_aspects_are_named_for_people():
    assert [str(Aspect("s", kind)) for kind in ("value", "missing", "gold")] == ["s", "s: missing", "s: gold"]
