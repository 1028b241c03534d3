"""The rhythm of a source: whether its newest week is as its own past foretells, by table and column.

Weeks are read from the oldest on. A week that breaks the rhythm does not become part of it, so a break stays named
until it is mended, however long it lasts.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from math import sqrt
from statistics import median
from typing import Literal

from features.publishing.source_weeks import SourceProfile, SourceWeek
from features.tables.contract import QUIET_TABLES
from monitoring.verdicts.verdict import SourceFault

USUAL_WEEKS, REMEMBERED_WEEKS = 8, 52
LOW, HIGH = 0.7, 1.5  # times the lowest and highest share of the usual that the own past showed
MIN_SHARE = 0.85  # what the lowest share counts as, at most: a past of a year does not hold all weeks
CLEAR_DEVIATIONS = 5.0  # of a Poisson count
MIN_ROWS = 30  # in a week, for shares and medians that mean something
MORE_NULLS = 0.3
UNIT_RATIO = 8.0
HOLIDAYS_BEGIN, HOLIDAYS_END, HOLIDAY_SHARE = (12, 20), (1, 12), 0.3
Breaks = Callable[[float, Sequence[float]], bool]
"""Whether a value breaks the rhythm of the earlier ones."""


@dataclass
class Rhythm:
    """The values of the weeks in rhythm, and since how many weeks (0: the newest) it has been broken."""

    breaks: Breaks
    values: list[float] = field(default_factory=list[float])
    since: int | None = None

    def add(self, value: float, week: int) -> None:
        """Take in the next week."""
        if len(self.values) >= USUAL_WEEKS and self.breaks(value, self.values[-REMEMBERED_WEEKS:]):
            self.since = week if self.since is None else self.since
        else:
            self.values.append(value)
            self.since = None


@dataclass(frozen=True)
class _Fault:
    """A break, since how many weeks (0: the newest), and its text after the name of the table."""

    since: int
    text: str


def find_rhythm_faults(profile: SourceProfile, as_of: datetime) -> tuple[SourceFault, ...]:
    """What is wrong with the sources, by table and column; the tables without any row come first."""
    empty = [table for table, weeks in profile.items() if table not in QUIET_TABLES and not any(w.rows for w in weeks)]
    faults = (fault for table, weeks in profile.items() for fault in _find_faults(table, weeks, as_of))
    return (*(SourceFault(table, as_of, f"{table}: no row since the first day") for table in empty), *faults)


def _find_faults(table: str, weeks: Sequence[SourceWeek], as_of: datetime) -> Iterator[SourceFault]:
    """The faults of one table: its rows or else its accounts, then its columns."""
    counts = [] if table in QUIET_TABLES else [_count_fault(weeks, unit, as_of) for unit in ("rows", "accounts")]
    full = [(number, week) for number, week in enumerate(weeks) if week.rows >= MIN_ROWS]
    columns = sorted({name for _, week in full for name in week.nulls})
    faults = [*[fault for fault in counts if fault][:1], *(_column_fault(full, column) for column in columns)]
    for fault in filter(None, faults):
        yield SourceFault(table, as_of - timedelta(weeks=fault.since + 1), f"{table}{fault.text}")


def _count_fault(weeks: Sequence[SourceWeek], unit: Literal["rows", "accounts"], as_of: datetime) -> _Fault | None:
    counts = [week.rows if unit == "rows" else week.accounts for week in weeks]
    compared = [week for week in range(len(counts)) if not _is_quiet_holiday(counts[week:], as_of, week)]
    rhythm = _follow([(week, counts[week]) for week in compared], _breaks_count)
    if rhythm.since is None:
        return None
    usual = median(rhythm.values[-USUAL_WEEKS:])
    return _Fault(rhythm.since, f": {counts[0]:,} {unit} in the last week, {usual:,.0f} are usual")


def _column_fault(full: Sequence[tuple[int, SourceWeek]], column: str) -> _Fault | None:
    nulls = _follow([(number, week.nulls.get(column, 0) / week.rows) for number, week in full], _breaks_nulls)
    if nulls.since is not None:
        now, before = full[0][1].nulls.get(column, 0) / full[0][1].rows, max(nulls.values)
        return _Fault(
            nulls.since, f".{column}: empty in {now:.0%} of the rows of the last week, at most {before:.0%} before"
        )
    medians = [(number, value) for number, week in full if (value := week.medians.get(column))]
    unit = _follow(medians, _breaks_unit)
    if unit.since is None:
        return None
    usual = median(unit.values[-USUAL_WEEKS:])
    return _Fault(unit.since, f".{column}: {medians[0][1]:,.4g} is the median of the last week, {usual:,.4g} is usual")


def _is_quiet_holiday(newest_first: Sequence[int], as_of: datetime, week: int) -> bool:
    """Whether a week at the turn of a year is no lower than holidays may be: it says nothing of other weeks."""
    ended = as_of - timedelta(weeks=week)
    is_holiday = (ended.month, ended.day) >= HOLIDAYS_BEGIN or (ended.month, ended.day) <= HOLIDAYS_END
    before = newest_first[1 : USUAL_WEEKS + 1]
    return is_holiday and len(before) > 0 and newest_first[0] >= HOLIDAY_SHARE * median(before)


def _follow(newest_first: Sequence[tuple[int, float]], breaks: Breaks) -> Rhythm:
    rhythm = Rhythm(breaks)
    for week, value in reversed(newest_first):
        rhythm.add(value, week)
    return rhythm


def _breaks_count(value: float, past: Sequence[float]) -> bool:
    """Whether a count is further from the usual than the own past ever was, and than chance."""
    usual = median(past[-USUAL_WEEKS:])
    if abs(value - usual) <= CLEAR_DEVIATIONS * sqrt(usual):
        return False
    shares = [now / before for now, before in _shares(past) if before > 0]
    low, high = min([MIN_SHARE, *shares]), max([1.0, *shares])
    return value < LOW * low * usual or value > HIGH * high * usual


def _shares(past: Sequence[float]) -> Iterator[tuple[float, float]]:
    """Each value with what was usual before it."""
    for at in range(USUAL_WEEKS, len(past)):
        yield past[at], median(past[at - USUAL_WEEKS : at])


def _breaks_nulls(share: float, past: Sequence[float]) -> bool:
    return share > max(past) + MORE_NULLS


def _breaks_unit(value: float, past: Sequence[float]) -> bool:
    return not min(past) / UNIT_RATIO <= value <= max(past) * UNIT_RATIO
