"""The span of the data: found from rows, without stray ones, and declared if the mapping says so."""

from datetime import date, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from configs.errors import DataError
from features.publishing.data_span import (
    DataSpan,
    count_events_by_day,
    is_monthly,
    last_covered_day,
    raise_for_late_day,
)
from tests.support.companies.raw_tables import account, raw_tables, subscription

END = date(2024, 10, 31).toordinal()
WEEKDAY_ROWS = (200, 210, 190, 205, 180, 12, 8)  # few on weekends
DAILY = {END - age: WEEKDAY_ROWS[(END - age - 1) % 7] for age in range(120)}
SPARSE = {END - age: 1 for age in range(0, 400, 5)}


@pytest.mark.parametrize("days", [3, 20, 200, 5_000])
def test_a_single_row_of_a_later_day_does_not_move_the_end(days: int):
    assert last_covered_day({**DAILY, END + days: 1}) == END


@pytest.mark.parametrize("days", [200, 5_000])
def test_a_single_later_row_of_a_sparse_source_does_not_move_the_end(days: int):
    assert last_covered_day({**SPARSE, END + days: 1}) == END


def test_a_thin_tail_of_rows_ahead_does_not_move_the_end():
    ahead = {END + day: 1 for day in range(2, 100)}
    assert last_covered_day(DAILY | ahead) == END


@settings(max_examples=50, deadline=None, derandomize=True)
@given(st.integers(0, 13))
def test_data_that_end_on_any_weekday_end_there(cut: int):
    rows = {day: count for day, count in DAILY.items() if day <= END - cut}
    assert last_covered_day(rows) == END - cut


def test_a_large_import_is_not_the_end():
    after_import = {END - age: 2 for age in range(60)}
    assert last_covered_day({**after_import, END - 60: 5_000}) == END


def test_ends_and_answers_are_events_too():
    tables = raw_tables(
        accounts=[account("a", datetime(2024, 1, 1))],
        subscriptions=[subscription("a", datetime(2024, 1, 2), datetime(2024, 3, 1), renews_at=datetime(2025, 1, 1))],
    )
    days = [date.fromordinal(day).isoformat() for day in sorted(count_events_by_day(tables, datetime(2024, 6, 1)))]
    assert days == ["2024-01-01", "2024-01-02", "2024-03-01"]


def _span(*, is_declared: bool) -> DataSpan:
    return DataSpan(datetime(2024, 1, 1), datetime(2024, 11, 1), 0, 7, is_declared)


@pytest.mark.parametrize(("is_declared", "days_late"), [(True, 1), (False, 8)])
def test_a_day_beyond_the_data_is_refused_with_the_day_to_publish(is_declared: bool, days_late: int):
    late = datetime(2024, 11, 1) + timedelta(days=days_late)
    with pytest.raises(DataError, match=f"{late:%Y-%m-%d} is beyond the data, which end on 2024-10-31") as refusal:
        raise_for_late_day(_span(is_declared=is_declared), late)
    assert "--as-of 2024-11-01" in refusal.value.hint
    assert raise_for_late_day(_span(is_declared=is_declared), late - timedelta(days=1)) is None


@pytest.mark.parametrize(("day", "monthly"), [(1, True), (28, False)])
def test_counts_dated_the_first_of_the_month_are_recognised(day: int, monthly: bool):
    rows = [{"account_id": "a", "event": "e", "occurred_at": datetime(2023, month, day)} for month in range(1, 13)]
    assert is_monthly(raw_tables(usage=rows)["usage"], datetime(2024, 1, 1)) is monthly
