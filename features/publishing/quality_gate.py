"""The quality gate: whether a day's rows, and the sources behind them, look like those of the days before.

It judges a day by what its company did before, with thresholds from the settings, and names what is off.
"""

# pyright: reportOperatorIssue=false, reportArgumentType=false, reportCallIssue=false, reportAttributeAccessIssue=false
# (the published types of ibis do not cover its operators)

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from itertools import pairwise

import ibis
import pyarrow as pa
import pyarrow.compute as pc

from configs.errors import DataError
from configs.settings import QualitySettings
from features.compute.compute import COLUMN_TYPES, KEY
from features.signals.base import Signal
from features.store.history import Day
from features.tables.point_in_time import as_known
from features.tables.raw_table import RawTable

WINDOWS = (7, 28)
BATCH_EVERY_DAYS = 7  # a source with rows on fewer days than one in so many comes in batches
LONGER_SILENCE = 1.5
ARROW_TYPES = {"float64": pa.float64(), "string": pa.string()}
SHOWN = 5
RowsByAge = Mapping[int, int]


def judge_schema(rows: pa.Table, signals: Sequence[Signal]) -> tuple[str, ...]:
    """What is wrong with the form of a day's rows: columns, types, keys, values that are no numbers."""
    wanted = {KEY: pa.string(), **{one.name: ARROW_TYPES[COLUMN_TYPES[one.kind]] for one in signals}}
    if rows.column_names != list(wanted):
        odd = sorted(set(rows.column_names) ^ set(wanted))
        return (f"its columns are not the declared signals: {', '.join(odd) or 'their order differs'}",)
    faults = [f"{name} is {rows[name].type}, not {kind}" for name, kind in wanted.items() if rows[name].type != kind]
    return (*faults, *_repeated(rows), *_endless(rows))


def judge_day(day: Day, past: Sequence[Day], settings: QualitySettings) -> tuple[str, ...]:
    """What sets a day apart from the complete days before it: its number of snapshots, signals that went missing."""
    if not past:
        return ()
    return (*_snapshots(day, past, settings), *_gone_missing(day, past, settings))


def judge_sources(tables: Mapping[str, RawTable], as_of: datetime, settings: QualitySettings) -> tuple[str, ...]:
    """The tables whose rows stopped, or came more than once, in the last days before `as_of`."""
    counts = {name: rows_by_age(table, as_of, settings) for name, table in tables.items() if table.contract.at}
    return tuple(fault for name, ages in counts.items() for fault in judge_flow(name, ages, settings))


def judge_flow(table: str, ages: RowsByAge, settings: QualitySettings) -> tuple[str, ...]:
    """Whether a table's newest window holds far fewer or more rows than each before it, the shortest such window.

    A source that comes in batches, once a month say, falls through any window: it is judged by its silence instead.
    """
    if len(ages) * BATCH_EVERY_DAYS <= max(ages, default=0):
        return _silent(table, ages)
    for days in WINDOWS:
        now, *before = _windows(ages, days, settings.compared_windows)
        # A young source has no past yet: its first windows hold whatever was imported when it began.
        is_young = len(before) < settings.compared_windows / 2
        if is_young or sum(before) / len(before) < settings.min_rows_to_check:
            continue
        came = f"{table}: {now:,} rows in the last {days} days, in the {len(before)} times {days} days before"
        if now < min(before) * settings.min_row_ratio:
            return (f"{came} at least {min(before):,}",)
        if now > max(before) * settings.max_row_ratio:
            return (f"{came} at most {max(before):,}",)
    return ()


def refuse_day(day: str, faults: tuple[str, ...]) -> None:
    """Raise DataError for the faults of a day, if there are any."""
    if faults:
        more = f", and {len(faults) - SHOWN} more" if len(faults) > SHOWN else ""
        raise DataError(
            f"{day} is not published: {'; '.join(faults[:SHOWN])}{more}.",
            "Mend the source and publish again, or publish it as it is with --force --reason TEXT.",
        )


def rows_by_age(table: RawTable, as_of: datetime, settings: QualitySettings) -> RowsByAge:
    """How many rows of a table happened on each of the last days, by whole days before `as_of`."""
    reach = max(WINDOWS) * (settings.compared_windows + 1)
    known = as_known(table.rows, table.contract, as_of, reach)
    days = known.mutate(day=known.age.ceil().cast("int64") - 1).group_by("day").aggregate(rows=ibis._.count())
    return {row["day"]: row["rows"] for row in days.to_pyarrow().to_pylist()}


def _silent(table: str, ages: RowsByAge) -> tuple[str, ...]:
    """Whether a source of batches has been silent for longer than between any two of them, by half as much again."""
    days = sorted(ages)
    longest = max((later - earlier for earlier, later in pairwise(days)), default=0)
    if longest == 0 or days[0] <= longest * LONGER_SILENCE:
        return ()
    return (f"{table}: no row for {days[0]} days, before never for more than {longest}",)


def _repeated(rows: pa.Table) -> Iterator[str]:
    repeated = rows.num_rows - pc.count_distinct(rows[KEY]).as_py()
    if repeated or rows[KEY].null_count:
        yield f"{repeated + rows[KEY].null_count} rows have an account_id that is empty or there already"


def _endless(rows: pa.Table) -> Iterator[str]:
    for name in rows.column_names:
        if pa.types.is_floating(rows[name].type):
            endless = rows.num_rows - rows[name].null_count - (pc.sum(pc.is_finite(rows[name])).as_py() or 0)
            if endless:
                yield f"{name} is infinite or no number for {endless:,} accounts"


def _snapshots(day: Day, past: Sequence[Day], settings: QualitySettings) -> Iterator[str]:
    counts = [one.snapshots for one in past]
    low, high = min(counts) * settings.min_snapshot_ratio, max(counts) * settings.max_snapshot_ratio
    if not low <= day.snapshots <= high:
        yield (
            f"{day.snapshots:,} accounts, where the last {len(past)} days had {min(counts):,} to {max(counts):,}"
            f" (from {low:,.0f} to {high:,.0f} passes)"
        )


def _gone_missing(day: Day, past: Sequence[Day], settings: QualitySettings) -> Iterator[str]:
    for name, share in day.missing.items():
        before = max(one.missing.get(name, 1.0) for one in past)
        if share > before + settings.max_missing_increase:
            yield f"{name} is missing for {share:.0%} of the accounts, before for at most {before:.0%}"


def _windows(ages: RowsByAge, days: int, compared: int) -> list[int]:
    """Rows in the newest window and in each before it that the source already covered in full, newest first."""
    rows = Counter(dict.fromkeys(range(compared + 1), 0))
    for age, count in ages.items():
        rows[age // days] += count
    oldest = (max(ages, default=-1) + 1) // days
    return [rows[window] for window in range(min(oldest, compared + 1))] or [0]
