"""The columns of a source: empty cells that were always filled before, and numbers of another unit.

A value that comes with its row is compared in the newest week, one that is filled in later when its rows are 7 days
old, and when they are 28.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from statistics import median

from features.publishing.source_weeks import WEEK_DAYS, SourceWeek
from monitoring.sources.rhythm import (
    FEWEST_WEEKS,
    MIN_ROWS,
    REMEMBERED_WEEKS,
    WeekShare,
    chance_of_more,
    follow_weeks,
)

MIN_ROWS_OF_MEDIAN = 30  # in a week; with fewer, one median says nothing by itself
MORE_EMPTY, LESS_FILLED = 0.3, 0.2
UNIT_RATIO = 8.0
Weeks = Sequence[tuple[int, SourceWeek]]  # with their numbers, 0 for the newest


@dataclass(frozen=True)
class ColumnFault:
    """What is wrong with a column, and since how many weeks (0: the newest)."""

    column: str
    since: int
    text: str


def find_column_faults(weeks: Sequence[SourceWeek], level: float) -> Iterator[ColumnFault]:
    """The faults of the columns of a table whose weeks are given, the newest first; a column is named once."""
    full = [(number, week) for number, week in enumerate(weeks) if week.rows >= MIN_ROWS]
    for column in sorted({name for _, week in full for name in week.nulls}):
        if fault := _empty_fault(full, column, level) or _unit_fault(full, column):
            yield fault
    later = sorted({(name, days) for _, week in full for days, cells in week.empty_after.items() for name in cells})
    named: set[str] = set()
    for column, days in later:
        if column not in named and (fault := _still_empty_fault(full, column, days, level=level)):
            named.add(column)
            yield fault


def _empty_fault(full: Weeks, column: str, level: float) -> ColumnFault | None:
    """The fault of a column that is empty in more rows than ever before."""
    cells = [(number, WeekShare(week.nulls.get(column, 0), week.rows)) for number, week in full]
    since, past = follow_weeks(cells, lambda now, past: _is_emptier(now, past, level))
    if since is None:
        return None
    return ColumnFault(column, since, f"empty in {_share_of_rows(cells[0][1], past)}")


def _still_empty_fault(full: Weeks, column: str, days: int, *, level: float) -> ColumnFault | None:
    """The fault of a column that is filled in later, in fewer rows than ever before."""
    old = [(number, week) for number, week in full if number * WEEK_DAYS >= days]
    cells = [(number, WeekShare(week.empty_after[days].get(column, 0), week.rows)) for number, week in old]
    since, past = follow_weeks(cells, lambda now, past: _is_emptier(now, past, level))
    if since is None:
        return None
    return ColumnFault(column, since, f"still empty after {days} days in {_share_of_rows(cells[0][1], past)}")


def _is_emptier(now: WeekShare, past: Sequence[WeekShare], level: float) -> bool:
    """Whether more cells are empty than ever before, by far and beyond chance at this level."""
    if now.share <= MORE_EMPTY:
        return False  # as below, without looking at the past
    highest = max(before.share for before in past)
    if now.share <= min(highest + MORE_EMPTY, 1 - LESS_FILLED * (1 - highest)):
        return False
    return chance_of_more(now, past) < level


def _share_of_rows(now: WeekShare, past: Sequence[WeekShare]) -> str:
    highest = max(before.share for before in past[-REMEMBERED_WEEKS:])
    return f"{now.share:.0%} of the rows of a week, at most {highest:.0%} before"


def _unit_fault(full: Weeks, column: str) -> ColumnFault | None:
    """The fault of a column whose median is of another size than ever before, in two weeks if these have few rows."""
    medians = [(number, week.rows, value) for number, week in full if (value := week.medians.get(column))]
    weeks: list[tuple[int, tuple[float, ...]]] = []
    begun: dict[int, int] = {}
    for (number, rows, value), (before, _, value_before) in pairwise(medians):
        is_enough = rows >= MIN_ROWS_OF_MEDIAN
        weeks.append((number, (value,) if is_enough else (value, value_before)))
        begun[number] = number if is_enough else before
    since, past = follow_weeks(weeks, _are_another_unit)
    if since is None:
        return None
    usual = median(value for value, *_ in past[-FEWEST_WEEKS:])
    text = f"{medians[0][2]:,.4g} is the median of the last week, {usual:,.4g} is usual"
    return ColumnFault(column, begun[since], text)


def _are_another_unit(values: tuple[float, ...], past: Sequence[tuple[float, ...]]) -> bool:
    """Whether all these medians are far above what ever was in a week that counts, or all far below it."""
    highest, lowest = max(map(min, past)), min(map(max, past))
    return min(values) > highest * UNIT_RATIO or max(values) < lowest / UNIT_RATIO
