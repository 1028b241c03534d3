"""The profile of the sources on a day: what each table held in each week before it, counted once per publish.

Monitoring compares the newest week with the table's own past.
"""

# pyright: reportAttributeAccessIssue=false, reportOperatorIssue=false
# (the stubs of Ibis do not know the type of a column)

from collections.abc import Iterator, Mapping
from datetime import datetime

import ibis.expr.types as ir

from features.publishing.source_weeks import NO_ROWS, SourceProfile, SourceWeek
from features.tables.contract import ACCOUNT_ID, ColumnContract
from features.tables.point_in_time import as_of_view
from features.tables.raw_table import RawTable

WEEK_DAYS = 7
WEEKS = 104  # what the own past may hold: the same season twice
NULLS, MEDIAN = "nulls_", "median_"


def profile_sources(tables: Mapping[str, RawTable], as_of: datetime) -> SourceProfile:
    """The weeks of each table whose rows have an instant, as they were known on a day; none if it has no row."""
    return {name: _profile_table(table, as_of) for name, table in tables.items() if table.contract.at}


def _profile_table(table: RawTable, as_of: datetime) -> tuple[SourceWeek, ...]:
    weeks = _number_weeks(as_of_view(table.rows, table.contract, as_of))
    columns = dict(_compared_columns(table))
    recent = weeks.filter(weeks.week < WEEKS)
    counted = recent.group_by("week").aggregate(
        rows=recent.count(),
        accounts=recent[ACCOUNT_ID].nunique(),
        **{f"{NULLS}{name}": recent[name].isnull().sum() for name in columns},
        **{f"{MEDIAN}{name}": recent[name].median() for name, column in columns.items() if column.type == "number"},
    )
    by_week = {int(row.pop("week")): _to_week(row) for row in counted.to_pyarrow().to_pylist()}
    return tuple(by_week.get(week, NO_ROWS) for week in range(max(by_week, default=-1) + 1))


def _number_weeks(rows: ir.Table) -> ir.Table:
    """The rows with the number of their week, 0 for the newest, each as it was known when the week ended.

    The newest week ends with the last row, unless that is a week old: a source may be a few days late.
    """
    last = rows.days_ago.min().to_pyarrow().as_py()
    late = last if last is not None and last <= WEEK_DAYS else 1
    rows = rows.mutate(week=(rows.days_ago - late) // WEEK_DAYS)
    if "recorded_at_age" not in rows.columns:
        return rows
    return rows.filter(rows.recorded_at.isnull() | (rows.recorded_at_age > rows.week * WEEK_DAYS))


def _compared_columns(table: RawTable) -> Iterator[tuple[str, ColumnContract]]:
    """The columns whose values come with their rows; a value that is filled in later is always missing at first."""
    for name, column in table.contract.columns.items():
        if name in table.source_columns and not (column.known_at or column.settles_days):
            yield name, column


def _to_week(row: dict[str, int | float | None]) -> SourceWeek:
    return SourceWeek(
        rows=int(row["rows"] or 0),
        accounts=int(row["accounts"] or 0),
        nulls={name.removeprefix(NULLS): int(value or 0) for name, value in row.items() if name.startswith(NULLS)},
        medians={name.removeprefix(MEDIAN): value for name, value in row.items() if name.startswith(MEDIAN)},
    )
