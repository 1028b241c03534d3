"""The profile of the sources on a day: what each table held in each week before it, counted once per publish.

Monitoring compares the newest week with the table's own past.
"""

# pyright: reportAttributeAccessIssue=false, reportOperatorIssue=false
# (the stubs of Ibis do not know the type of a column)

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime

import ibis
import ibis.expr.types as ir

from features.publishing.source_weeks import (
    MIN_WORD_ACCOUNTS,
    NO_ROWS,
    RECORDED_WITHIN,
    WEEK_DAYS,
    SourceProfile,
    SourceWeek,
)
from features.tables.contract import ACCOUNT_ID
from features.tables.point_in_time import as_of_view
from features.tables.raw_table import RawTable

WEEKS = 104  # what the own past may hold: the same season twice
FILLED_IN = (7, 28)  # days in which most values that are filled in later are
MINUTE = 1 / 1_440  # in days: a lag of whole days is not a rounding error more
NULLS, EMPTY, MEDIAN, DAY, RECORDED = "nulls_", "empty_after_", "median_", "day_", "recorded_"


def profile_sources(tables: Mapping[str, RawTable], as_of: datetime) -> SourceProfile:
    """The weeks of each table whose rows have an instant, as they were known on a day; none if it has no row."""
    return {name: _profile_table(table, at, as_of) for name, table in tables.items() if (at := table.contract.at)}


def _profile_table(table: RawTable, at: str, as_of: datetime) -> tuple[SourceWeek, ...]:
    numbered = _number_weeks(as_of_view(table.rows, table.contract, as_of))
    numbered = numbered.filter(numbered.week < WEEKS)
    recent = _known_in_time(numbered)
    present = {name: column for name, column in table.contract.columns.items() if name in table.source_columns}
    at_once = {name: column for name, column in present.items() if not (column.known_at or column.settles_days)}
    # (a value that has to settle is hidden for a while after it is filled in)
    filled_in = {name: column.known_at for name, column in present.items() if not column.settles_days}
    later = {name: known_at for name, known_at in filled_in.items() if known_at and known_at in present}
    counted = recent.group_by("week").aggregate(
        rows=recent.count(),
        accounts=recent[ACCOUNT_ID].nunique(),
        instants=ibis.struct({"account": recent[ACCOUNT_ID], "at": recent[at]}).nunique(),
        **{f"{DAY}{day}": (recent.day == day).sum() for day in range(WEEK_DAYS)},
        **{f"{NULLS}{name}": recent[name].isnull().sum() for name in at_once},
        **{f"{MEDIAN}{name}": recent[name].median() for name, column in at_once.items() if column.type == "number"},
        **{
            f"{EMPTY}{days}_{name}": _is_empty_after(recent, name, known_at, days=days).sum()
            for name, known_at in later.items()
            for days in FILLED_IN
        },
    )
    by_week = {int(row.pop("week")): _to_week(row) for row in counted.to_pyarrow().to_pylist()}
    words = {name: _count_words(recent, name) for name, column in at_once.items() if column.has_free_words}
    recorded = _count_recorded(numbered)
    weeks = (by_week.get(week, NO_ROWS) for week in range(max(by_week, default=-1) + 1))
    return tuple(
        replace(
            counts,
            words={name: of_weeks[week] for name, of_weeks in words.items() if week in of_weeks},
            recorded=recorded.get(week, {}),
        )
        for week, counts in enumerate(weeks)
    )


def _count_words(rows: ir.Table, column: str) -> dict[int, dict[str, int]]:
    """The accounts of each word of a column in each week, without the rare words."""
    counted = rows.filter(rows[column].notnull()).group_by("week", word=rows[column])
    counted = counted.aggregate(accounts=rows[ACCOUNT_ID].nunique())
    words: dict[int, dict[str, int]] = {}
    for row in counted.filter(counted.accounts >= MIN_WORD_ACCOUNTS).order_by("week", "word").to_pyarrow().to_pylist():
        words.setdefault(int(row["week"]), {})[row["word"]] = int(row["accounts"])
    return words


def _is_empty_after(rows: ir.Table, column: str, known_at: str, *, days: int) -> ir.Column:
    """Whether a cell was still empty so many days after its row."""
    return (rows[column].isnull() | (rows.age - rows[f"{known_at}_age"] > days)).fill_null(True)


def _number_weeks(rows: ir.Table) -> ir.Table:
    """The rows with the number of their week, and of their day in it, 0 for the newest.

    The newest week ends with the last row, unless that is a week old: a source may be a few days late.
    """
    last = rows.days_ago.min().to_pyarrow().as_py()
    late = last if last is not None and last <= WEEK_DAYS else 1
    age = rows.days_ago - late
    return rows.mutate(week=age // WEEK_DAYS, day=age % WEEK_DAYS)


def _known_in_time(rows: ir.Table) -> ir.Table:
    """The rows that were known when their week ended."""
    if "recorded_at_age" not in rows.columns:
        return rows
    return rows.filter(rows.recorded_at.isnull() | (rows.recorded_at_age > rows.week * WEEK_DAYS))


def _count_recorded(rows: ir.Table) -> dict[int, dict[int, int]]:
    """How many rows of each week were recorded within so many days after they happened."""
    if "recorded_at_age" not in rows.columns:
        return {}
    lag = rows.age - rows.recorded_at_age
    within = {days: (lag < days + MINUTE).sum() for days in RECORDED_WITHIN}
    counted = rows.group_by("week").aggregate(**{f"{RECORDED}{days}": count for days, count in within.items()})
    return {int(row.pop("week")): _by_days(row) for row in counted.to_pyarrow().to_pylist()}


def _by_days(row: Mapping[str, int | None]) -> dict[int, int]:
    return {days: int(row[f"{RECORDED}{days}"] or 0) for days in RECORDED_WITHIN}


def _to_week(row: Mapping[str, int | float | None]) -> SourceWeek:
    return SourceWeek(
        rows=int(row["rows"] or 0),
        accounts=int(row["accounts"] or 0),
        instants=int(row["instants"] or 0),
        nulls=_counts(row, NULLS),
        medians={name.removeprefix(MEDIAN): value for name, value in row.items() if name.startswith(MEDIAN)},
        by_day=tuple(int(row[f"{DAY}{day}"] or 0) for day in range(WEEK_DAYS)),
        empty_after={days: _counts(row, f"{EMPTY}{days}_") for days in FILLED_IN},
    )


def _counts(row: Mapping[str, int | float | None], prefix: str) -> dict[str, int]:
    return {name.removeprefix(prefix): int(value or 0) for name, value in row.items() if name.startswith(prefix)}
