"""The quality gate: compares a day's rows, and the sources behind them, with the days before.

The thresholds are settings, relative to the company's own past. Each fault is described in words.
"""

from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from itertools import pairwise

import ibis
import numpy as np
import pyarrow as pa

from configs.errors import DataError
from configs.sections.publishing import QualitySettings
from features.compute.availability import MissingInput
from features.compute.compute import COLUMN_TYPES
from features.signals.base import Signal
from features.store.history import DaySummary
from features.tables.contract import ACCOUNT_ID, QUIET_TABLES
from features.tables.point_in_time import as_of_view
from features.tables.raw_table import RawTable

WINDOWS = (7, 28)
BATCH_INTERVAL_DAYS = 7  # a source with rows on fewer than one day in so many comes in batches
MAX_GAP_RATIO = 1.5
ARROW_TYPES = {"float64": pa.float64(), "string": pa.string()}
MAX_LISTED_FAULTS = 5
RowsByAge = Mapping[int, int]


def check_schema(rows: pa.Table, signals: Sequence[Signal]) -> tuple[str, ...]:
    """The faults in the columns, types, keys and numbers of a day's rows."""
    types = {ACCOUNT_ID: pa.string(), **{signal.name: ARROW_TYPES[COLUMN_TYPES[signal.kind]] for signal in signals}}
    if rows.column_names != list(types):
        unexpected = sorted(set(rows.column_names) ^ set(types))
        return (f"its columns are not the declared signals: {', '.join(unexpected) or 'their order differs'}",)
    faults = [f"{name} is {rows[name].type}, not {kind}" for name, kind in types.items() if rows[name].type != kind]
    return (*faults, *_key_faults(rows), *_infinite_values(rows))


def check_day(day: DaySummary, past: Sequence[DaySummary], settings: QualitySettings) -> tuple[str, ...]:
    """The faults of a day relative to the days before: its number of snapshots, and newly missing signals."""
    if not past:
        return ()
    return (*_snapshot_faults(day, past, settings), *_missing_signals(day, past, settings))


def check_sources(tables: Mapping[str, RawTable], as_of: datetime, settings: QualitySettings) -> tuple[str, ...]:
    """The tables whose rows stopped, or arrived more than once, before `as_of`, each compared with its own past."""
    return tuple(
        f"{fault} (the last row is of {as_of - timedelta(days=min(ages) + 1):%Y-%m-%d})"
        for name, table in tables.items()
        if name not in QUIET_TABLES and table.contract.at and (ages := count_rows_by_age(table, as_of))
        for fault in check_row_counts(name, ages, settings)
    )


def check_lost_signals(missing: Sequence[MissingInput], published: Collection[str]) -> tuple[str, ...]:
    """The tables and columns that the data set lacks for signals that were published last."""
    lost = [(lacking.inputs, sorted({*lacking.signals} & {*published})) for lacking in missing]
    return tuple(
        f"{inputs[0].partition('.')[0]}: {', '.join(inputs)} is missing, which {_count_signals(signals)}"
        for inputs, signals in lost
        if signals
    )


def check_row_counts(table: str, ages: RowsByAge, settings: QualitySettings) -> tuple[str, ...]:
    """The fault of a table without any row for long, or with far fewer or more rows in its newest window than before.

    The shortest such window is reported. A source that comes in batches, such as once a month, is checked by the length
    of its gaps instead.
    """
    if not ages:
        return ()
    if len(ages) * BATCH_INTERVAL_DAYS <= max(ages) - min(ages):
        return _gap_faults(table, ages)
    if stopped := _stop_fault(table, ages, settings):
        return (stopped,)
    for days in WINDOWS:
        now, *before = _windows(ages, days, settings.compared_windows)
        # The first windows of a new source can hold an initial import.
        is_new = len(before) < settings.compared_windows / 2
        if is_new or sum(before) / len(before) < settings.min_rows_to_check:
            continue
        text = f"{table}: {now:,} rows in the last {days} days; the {len(before)} windows of {days} days before had"
        if now < min(before) * settings.min_row_ratio:
            return (f"{text} at least {min(before):,}",)
        if now > max(before) * settings.max_row_ratio:
            return (f"{text} at most {max(before):,}",)
    return ()


def raise_for_day_faults(day: str, faults: tuple[str, ...]) -> None:
    """Raise DataError for the faults of a day, if there are any."""
    if faults:
        more = f", and {len(faults) - MAX_LISTED_FAULTS} more" if len(faults) > MAX_LISTED_FAULTS else ""
        raise DataError(
            f"{day} is not published: {'; '.join(faults[:MAX_LISTED_FAULTS])}{more}.",
            "Correct the source and publish again, or publish it as it is with --force --reason TEXT.",
        )


def count_rows_by_age(table: RawTable, as_of: datetime) -> RowsByAge:
    """The number of rows of a table on each day, by whole days before `as_of`."""
    rows = as_of_view(table.rows, table.contract, as_of)
    days = rows.mutate(day=rows.age.ceil().cast("int64") - 1).group_by("day").aggregate(rows=ibis._.count())
    return {row["day"]: row["rows"] for row in days.to_pyarrow().to_pylist()}


def _count_signals(names: Sequence[str]) -> str:
    return f"{names[0]} needs" if len(names) == 1 else f"{len(names)} published signals need, such as {names[0]}"


def _stop_fault(table: str, ages: RowsByAge, settings: QualitySettings) -> str:
    """The fault of a table that has had no row for a window or longer, by its windows before its last row."""
    silent = min(ages)
    before_stop = {age - silent: count for age, count in ages.items()}
    for days in WINDOWS:
        before = _windows(before_stop, days, settings.compared_windows)
        is_new = len(before) <= settings.compared_windows / 2
        if silent >= days and not is_new and sum(before) / len(before) >= settings.min_rows_to_check:
            text = f"{table}: 0 rows in the last {silent} days; the {len(before)} windows of {days} days before had"
            return f"{text} at least {min(before):,}" if min(before) else ""
    return ""


def _gap_faults(table: str, ages: RowsByAge) -> tuple[str, ...]:
    """The fault of a source of batches that now has a gap far longer than between any two batches before."""
    days = sorted(ages)
    longest = max((later - earlier for earlier, later in pairwise(days)), default=0)
    if longest == 0 or days[0] <= longest * MAX_GAP_RATIO:
        return ()
    return (f"{table}: no rows for {days[0]} days; the longest gap before was {longest} days",)


def _key_faults(rows: pa.Table) -> Iterator[str]:
    invalid = rows.num_rows - len(rows[ACCOUNT_ID].drop_null().unique())
    if invalid:
        yield f"{invalid} rows have an empty or repeated account_id"


def _infinite_values(rows: pa.Table) -> Iterator[str]:
    for name in rows.column_names:
        if pa.types.is_floating(rows[name].type):
            infinite = rows.num_rows - rows[name].null_count - np.isfinite(rows[name].to_numpy()).sum()
            if infinite:
                yield f"{name} is infinite or not a number for {infinite:,} accounts"


def _snapshot_faults(day: DaySummary, past: Sequence[DaySummary], settings: QualitySettings) -> Iterator[str]:
    counts = [earlier.snapshots for earlier in past]
    low, high = min(counts) * settings.min_snapshot_ratio, max(counts) * settings.max_snapshot_ratio
    if not low <= day.snapshots <= high:
        yield (
            f"{day.snapshots:,} accounts; the last {len(past)} days had {min(counts):,} to {max(counts):,}"
            f" (accepted: {low:,.0f} to {high:,.0f})"
        )


def _missing_signals(day: DaySummary, past: Sequence[DaySummary], settings: QualitySettings) -> Iterator[str]:
    for name, share in day.missing.items():
        before = max(earlier.missing.get(name, 1.0) for earlier in past)
        if share > before + settings.max_missing_increase:
            yield f"{name} is missing for {share:.0%} of the accounts; before it was at most {before:.0%}"


def _windows(ages: RowsByAge, days: int, compared: int) -> list[int]:
    """The rows in the newest window and in each earlier one that the source covers completely, newest first."""
    rows = Counter(dict.fromkeys(range(compared + 1), 0))
    for age, count in ages.items():
        rows[age // days] += count
    oldest = (max(ages, default=-1) + 1) // days
    return [rows[window] for window in range(min(oldest, compared + 1))] or [0]
