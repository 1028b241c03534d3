"""Paired changes: known answers on small tables."""

import numpy as np
import pandas as pd
import pytest

from monitoring.drift.paired_changes import Aspect, Change, measure_changes

RANKS = pd.Series(np.arange(100.0))


def changes_of(before: pd.Series, after: pd.Series) -> dict[str, float]:
    measured = measure_changes(before.to_frame("s"), after.to_frame("s"))
    return {str(aspect): round(change.mean, 4) for aspect, change in measured.items()}


def test_a_number_moves_on_the_scale_of_the_earlier_ranks():
    assert changes_of(RANKS, RANKS + 10) == {"s: missing": 0.0, "s": 0.095}  # 10 ranks, less at the top
    assert changes_of(RANKS, RANKS * 1000)["s"] == changes_of(RANKS / 1000, RANKS)["s"] > 0.45


def test_values_that_are_equal_have_not_moved():
    assert changes_of(RANKS * 0, RANKS * 0) == {"s: missing": 0.0, "s": 0.0}


def test_a_value_that_goes_missing_counts_as_missing_only():
    assert changes_of(RANKS, RANKS.where(RANKS >= 30)) == {"s: missing": 0.3, "s": 0.0}


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
