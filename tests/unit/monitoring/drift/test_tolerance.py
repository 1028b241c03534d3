"""Tolerance: what the own past allows, and what is assumed while it is short."""

from datetime import datetime, timedelta

import pytest

from monitoring.drift.paired_changes import Aspect, Change
from monitoring.drift.tolerance import (
    CHANCE,
    FLOOR,
    LARGE_PRIOR,
    SLACK,
    UNSEEN_FLOOR,
    UNSEEN_PRIOR,
    Pair,
    choose_pairs,
    learn_tolerance,
    thin_out,
)

USAGE = Aspect("usage", "value")
MONTHS = [datetime(2024 + (month // 12), month % 12 + 1, 1) for month in range(24)]


def pair(ended: datetime, lag: int = 28) -> Pair:
    return ended - timedelta(days=lag), ended


def past(ends: list[datetime], change: float, lag: int = 28) -> dict[Pair, dict[Aspect, Change]]:
    return {pair(day, lag): {USAGE: Change(change, 0.01, 10_000)} for day in ends}


def test_the_tolerance_is_the_largest_change_of_the_season_times_the_slack():
    chance = CHANCE * 0.001  # the standard error of these changes
    for largest, of_season in ((0.15, MONTHS[6]), (0.1, MONTHS[3])):  # what another season does rarely is no excuse
        moved = past(MONTHS[:18], 0.1) | past([of_season], -0.15)
        assert learn_tolerance(moved, pair(MONTHS[18])).of(USAGE) == pytest.approx(SLACK * (largest - chance))


def test_a_signal_that_never_moves_has_the_floor():
    tolerance = learn_tolerance(past(MONTHS[:18], 0.0), pair(MONTHS[18]))
    assert (tolerance.of(USAGE), tolerance.of(Aspect("new", "value"))) == (FLOOR, FLOOR)


def test_the_first_turn_of_a_year_is_met_with_the_prior():
    first_year = learn_tolerance(past(MONTHS[1:11], 0.01), pair(datetime(2024, 12, 28)))
    assert (first_year.knows_season, first_year.of(USAGE)) == (False, LARGE_PRIOR)
    second_year = learn_tolerance(past(MONTHS[1:13], 0.01), pair(datetime(2025, 12, 28)))
    assert (second_year.knows_season, second_year.of(USAGE)) == (True, FLOOR)


def test_an_unseen_season_is_met_with_a_smaller_prior():
    assert learn_tolerance(past(MONTHS[3:10], 0.1), pair(MONTHS[10])).of(USAGE) == UNSEEN_PRIOR


def test_a_signal_that_hardly_moved_is_not_moved_far_by_an_ordinary_season():
    assert learn_tolerance(past(MONTHS[3:10], 0.01), pair(MONTHS[10])).of(USAGE) == UNSEEN_FLOOR
    assert learn_tolerance(past(MONTHS[3:10], 0.01), pair(datetime(2024, 12, 28))).of(USAGE) == LARGE_PRIOR


def test_what_the_holidays_moved_is_no_excuse_in_summer():
    moved = past(MONTHS[:18], 0.01) | past([MONTHS[12]], 0.3)
    assert learn_tolerance(moved, pair(MONTHS[18])).of(USAGE) == FLOOR
    assert learn_tolerance(moved, pair(datetime(2025, 12, 28))).of(USAGE) == pytest.approx(
        SLACK * (0.3 - CHANCE * 0.001)
    )


def test_few_pairs_are_met_with_the_prior_though_they_hold_the_season():
    assert learn_tolerance(past(MONTHS[5:7], 0.01), pair(MONTHS[18])).of(USAGE) == UNSEEN_PRIOR


def test_two_weekdays_are_compared_by_pairs_of_two_weekdays():
    assert not learn_tolerance(past(MONTHS[:18], 0.01), pair(MONTHS[18], lag=30)).knows_season
    assert learn_tolerance(past(MONTHS[:18], 0.01, lag=30), pair(MONTHS[18], lag=30)).knows_season


def test_days_are_paired_with_the_nearest_day_four_weeks_before():
    assert choose_pairs(MONTHS[:3], 28, 3) == {MONTHS[1]: MONTHS[0], MONTHS[2]: MONTHS[1]}
    days = [datetime(2024, 1, 1) + timedelta(days=days) for days in (0, 2, 3, 4, 30)]
    assert choose_pairs(days, 28, 3) == {days[4]: days[1]}


def test_past_days_are_thinned_out_from_the_newest_on():
    days = [datetime(2024, 1, day) for day in range(1, 29)]
    assert [day.day for day in thin_out(days, 7, 3)] == [28, 21, 14]
