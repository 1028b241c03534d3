"""Recorded history: days before departures were recorded are left out, and a quiet start is not."""

from datetime import datetime, timedelta

import pandas as pd

from training.data.recorded_history import first_recorded_day

DAYS = [datetime(2023, month, 1) for month in range(1, 13)]


def _first_day(accounts: int, *left: datetime) -> datetime | None:
    snapshots = pd.DataFrame({"as_of": [day for day in DAYS for _ in range(accounts)]})
    return first_recorded_day(snapshots, pd.Series([*left], dtype="datetime64[us]"))


def test_months_without_the_departures_that_the_later_rate_would_bring_are_left_out():
    monthly = [datetime(2023, 7, 3) + timedelta(days=9 * number) for number in range(18)]
    assert _first_day(100, *monthly) == datetime(2023, 7, 3)


def test_a_start_that_may_be_quiet_by_chance_is_kept():
    assert _first_day(100, datetime(2023, 3, 5), datetime(2023, 7, 1), datetime(2023, 11, 1)) is None


def test_one_departure_says_nothing_about_the_time_before():
    assert _first_day(10, datetime(2023, 11, 5)) is None


def test_without_departures_nothing_is_left_out():
    assert _first_day(10) is None
