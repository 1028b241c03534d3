"""The span of the data: the days on which its tables record events, found from the rows themselves.

The mapping may declare it (`observed_from`, `observed_until`). Otherwise the end is the last day with events, without a
few stray rows far behind all others, such as one with a wrong year. After that day nothing is known, so that an account
whose departure is not in the data must not be taken for one that stayed.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from itertools import pairwise
from statistics import median

import ibis
import ibis.expr.types as ir

from configs.errors import DataError
from features.store.history import to_midnight
from features.tables.dataset import Dataset
from features.tables.raw_table import RawTable

STRAY_SHARE = 0.01  # of all rows, that may be set aside at either end
THIN_SHARE = 0.1  # of the rows that are usual in the same time
USUAL_WEEKS = 8
MIN_DELAY_DAYS = 7  # sources that are delivered weekly
MONTHLY_SHARE, MIN_MONTHS = 0.9, 3
RowsByDay = Mapping[int, int]


@dataclass(frozen=True)
class DataSpan:
    """From when until when the tables are complete: both midnights, the second after the last day.

    `strays` is the number of rows beyond it, and `usual_delay_days` how long the data may be without any event.
    """

    begins: datetime
    until: datetime
    strays: int
    usual_delay_days: int
    is_declared: bool

    @property
    def last_day(self) -> datetime:
        """The last day of which everything is known."""
        return to_midnight(self.until - timedelta(microseconds=1))

    def contains(self, as_of: datetime) -> bool:
        """Whether a day can be published: not after the end, or so soon after it that a source may just be late."""
        delay = 0 if self.is_declared else self.usual_delay_days
        return as_of <= self.until + timedelta(days=delay)


def find_span(dataset: Dataset, tables: Mapping[str, RawTable], before: datetime) -> DataSpan | None:
    """The span of the rows before an instant, or as it is declared; None if no table records an event."""
    rows = count_events_by_day(tables, before)
    if not rows:
        return None
    last = last_covered_day(rows)
    first = -last_covered_day({-day: count for day, count in rows.items()})
    days = sorted(day for day in rows if last - 365 <= day <= last)
    gaps = [later - earlier for earlier, later in pairwise(days)]
    found_end = min(to_midnight(date.fromordinal(last + 1)), before)
    return DataSpan(
        begins=dataset.observed_from or to_midnight(date.fromordinal(first)),
        until=dataset.observed_until or found_end,
        strays=sum(count for day, count in rows.items() if not first <= day <= last),
        usual_delay_days=max([MIN_DELAY_DAYS, *gaps]),
        is_declared=dataset.observed_until is not None,
    )


def raise_for_late_day(span: DataSpan, as_of: datetime) -> None:
    """Raise DataError for a day after the data ended, with the day to publish instead."""
    if not span.contains(as_of):
        end = f"{span.until:%Y-%m-%d}"
        declared = "as observed_until declares" if span.is_declared else "the last day with events in its tables"
        raise DataError(
            f"{as_of:%Y-%m-%d} is beyond the data, which end on {span.last_day:%Y-%m-%d} ({declared}).",
            f"Publish {end} with --as-of {end}, or bring newer data.",
        )


def is_monthly(table: RawTable, before: datetime) -> bool:
    """Whether nearly all rows of a table are of the first of a month, and so counts of whole months."""
    rows = count_events_by_day({table.contract.name: table}, before)
    first_days = [day for day in rows if date.fromordinal(day).day == 1]
    return len(first_days) >= MIN_MONTHS and sum(rows[day] for day in first_days) >= MONTHLY_SHARE * sum(rows.values())


def last_covered_day(rows: RowsByDay) -> int:
    """The last day with rows, without the few far behind it.

    Rows are strays if they are at most `STRAY_SHARE` of all, and under `THIN_SHARE` of what is usual in their time.
    """
    days, total = sorted(rows), sum(rows.values())
    while (end := _thin_tail(rows, days, max(1, int(total * STRAY_SHARE)))) is not None:
        days = days[:end]
    return days[-1]


def count_events_by_day(tables: Mapping[str, RawTable], before: datetime) -> RowsByDay:
    """The rows of all tables by the day (its ordinal) on which something happened, before an instant."""
    parts = [part for table in tables.values() for part in _event_days(table, before)]
    if not parts:
        return {}
    events = parts[0].union(*parts[1:]) if len(parts) > 1 else parts[0]
    days = events.group_by("day").aggregate(rows=events.count())
    return {row["day"].toordinal(): row["rows"] for row in days.to_pyarrow().to_pylist()}


def _event_days(table: RawTable, before: datetime) -> list[ir.Table]:
    """The days on which something happened: those of the rows, and those on which they changed."""
    columns = table.contract.columns
    changes = [name for name, column in columns.items() if column.known_at == name]
    names = [name for name in (table.contract.at, *changes) if name in table.source_columns]
    past = (table.rows.filter(table.rows[name] < ibis.timestamp(before.isoformat())) for name in names)
    return [rows.select(day=rows[name].date()) for name, rows in zip(names, past, strict=True)]


def _thin_tail(rows: RowsByDay, days: list[int], limit: int) -> int | None:
    """The position in `days` from which on they hold only strays; None if there is none."""
    tail = 0
    for position in range(len(days) - 1, 0, -1):
        tail += rows[days[position]]
        if tail > limit:
            return None
        if tail < THIN_SHARE * _usual_rows(rows, days[position - 1], days[-1]):
            return position
    return None


def _usual_rows(rows: RowsByDay, day: int, last: int) -> float:
    """The rows to be expected after a day up to the last one, by the weeks up to that day."""
    weeks = [sum(rows.get(day - 7 * week - n, 0) for n in range(7)) for week in range(USUAL_WEEKS)]
    if last - day >= 7:
        return median(weeks) * (last - day) / 7
    return sum(
        median(rows.get(later - 7 * week, 0) for week in range(1, USUAL_WEEKS + 1))
        for later in range(day + 1, last + 1)
    )
