"""Computes the signals of every snapshot of one day, in one query over the tables as they were known on that day."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, time

import ibis.expr.types as ir
import pyarrow as pa

from features.compute.backends.base import Backend
from features.compute.usage_rollups import RollupPlan, materialize_rollups
from features.signals.base import Signal
from features.tables.contract import ACCOUNT_ID, CONTRACT
from features.tables.derived import (
    DAILY_TABLES,
    PERIOD_TABLES,
    USAGE_BY_DAY,
    USAGE_BY_PERIOD,
    DailyMeasure,
    aggregate_by_day,
    merge_late_parts,
    merge_periods,
    without_people_counts,
)
from features.tables.input_table import InputTable
from features.tables.point_in_time import Instant, add_ages, as_of_view, filter_as_of
from features.tables.raw_table import RawTable

COLUMN_TYPES = {"number": "float64", "category": "string"}
Tables = Mapping[str, RawTable]
Lookbacks = Mapping[str, int | None]


@dataclass(frozen=True)
class ComputeRequest:
    """Which signals to compute on which midnights; `required_activity_days` is that of `select_snapshots`."""

    signals: tuple[Signal, ...]
    days: Sequence[datetime]
    required_activity_days: int | None = None


def select_snapshots(tables: Tables, as_of: Instant, required_activity_days: int | None = None) -> ir.Table:
    """The accounts that could leave: those with a running subscription at `as_of`, one row each.

    With `required_activity_days`, for data without contracts: those with a row of usage in that many days before.
    """
    if required_activity_days is not None:
        return (
            as_of_view(tables["usage"].rows, CONTRACT["usage"], as_of, required_activity_days)
            .select(ACCOUNT_ID)
            .distinct()
        )
    running = as_of_view(tables["subscriptions"].rows, CONTRACT["subscriptions"], as_of)
    return running.filter(running.ended_at.isnull()).select(ACCOUNT_ID).distinct()


def compute_signals(
    tables: Tables, signals: tuple[Signal, ...], as_of: Instant, required_activity_days: int | None = None
) -> ir.Table:
    """One row per snapshot: account_id, then one column per signal; `as_of` is a midnight.

    Raises ValueError for another time of day, because windows are made of whole days.
    """
    _require_midnight(as_of)
    rows = select_snapshots(tables, as_of, required_activity_days)
    direct = [signal for signal in signals if signal.table]
    lookbacks = _lookbacks(signals)
    for name, readers in _signals_by_table(signals).items():
        table = readers[0].table
        assert table
        values = _aggregate(table_as_of(tables, table, lookbacks, as_of), readers)
        rows = rows.left_join(values, ACCOUNT_ID, rname=f"{name}_{{name}}")
    rows = rows.select(ACCOUNT_ID, **{signal.name: _fill_empty(rows[signal.name], signal) for signal in direct})
    rows = _add_composite_signals(rows, [signal for signal in signals if not signal.table])
    return rows.select(ACCOUNT_ID, *(signal.name for signal in signals))


def compile_signals(backend: Backend, tables: Tables, request: ComputeRequest) -> Callable[[datetime], pa.Table]:
    """A function of one of the requested midnights that returns the rows of `compute_signals`.

    The query is compiled only once if the backend can do that. If the midnights are closer together than the signals
    look back, usage is aggregated only once for all of them.
    """
    for as_of in request.days:
        _require_midnight(as_of)
    rolled_up = DAILY_TABLES.keys() | PERIOD_TABLES.keys()
    usage_lookbacks = {name: days for name, days in _lookbacks(request.signals).items() if name in rolled_up and days}
    rollups = materialize_rollups(backend, tables, RollupPlan(sorted(request.days), usage_lookbacks))
    return backend.compile_for_instants(
        lambda as_of: compute_signals({**tables, **rollups}, request.signals, as_of, request.required_activity_days)
    )


def table_as_of(tables: Tables, table: InputTable, lookbacks: Lookbacks, as_of: Instant) -> ir.Table:
    """A raw or derived table as it was known at `as_of`; `lookbacks` says how many days each table looks back."""
    name, derived = table.name, table.derived
    if derived and name in DAILY_TABLES:
        return derived.build(_usage_by_day(tables, name, lookbacks, as_of))
    if name in tables and name in PERIOD_TABLES:
        return merge_periods(
            as_of_view(tables[name].rows, USAGE_BY_PERIOD, as_of, lookbacks[name]), PERIOD_TABLES[name]
        )
    source = tables[table.source]
    # A window over a state (a subscription, an account) also needs the rows that began before the window.
    days = lookbacks[name] if table.source == "usage" else None
    rows = as_of_view(source.rows, source.contract, as_of, days)
    if derived:
        return derived.build(rows)
    return without_people_counts(rows) if name == "usage" else rows


def _require_midnight(as_of: Instant) -> None:
    if isinstance(as_of, datetime) and as_of.time() != time():
        raise ValueError(f"{as_of} is not midnight")


def _signals_by_table(signals: tuple[Signal, ...]) -> dict[str, list[Signal]]:
    """The signals that read each table, raw or derived."""
    readers: dict[str, list[Signal]] = {}
    for signal in signals:
        if signal.table:
            readers.setdefault(signal.table.name, []).append(signal)
    return readers


def _lookbacks(signals: tuple[Signal, ...]) -> dict[str, int | None]:
    return {name: _lookback(readers) for name, readers in _signals_by_table(signals).items()}


def _lookback(readers: list[Signal]) -> int | None:
    days = [signal.days for signal in readers if signal.days is not None]
    longest = max(days) if len(days) == len(readers) else None
    table = readers[0].table
    limit = table.derived.max_days if table and table.derived else None
    return min((days for days in (longest, limit) if days is not None), default=None)


def _usage_by_day(tables: Tables, name: str, lookbacks: Lookbacks, as_of: Instant) -> ir.Table:
    """Usage by day as it was known: from the rollup if there is one, otherwise aggregated from the events."""
    lookback = lookbacks[name]
    if lookback and USAGE_BY_DAY.name in tables and DAILY_TABLES[name] in tables[USAGE_BY_DAY.name].rows.columns:
        days = filter_as_of(tables[USAGE_BY_DAY.name].rows, USAGE_BY_DAY, as_of, lookback)
        return add_ages(merge_late_parts(days) if "has_late_parts" in days.columns else days, USAGE_BY_DAY, as_of)
    usage = filter_as_of(tables["usage"].rows, CONTRACT["usage"], as_of, lookback)
    # Tables with the same window share one pass over the events.
    measures: set[DailyMeasure] = {DAILY_TABLES[other] for other in DAILY_TABLES if lookbacks.get(other, 0) == lookback}
    has_users = "user_id" in tables["usage"].source_columns
    return add_ages(aggregate_by_day(usage, measures, has_users=has_users), USAGE_BY_DAY, as_of)


def _aggregate(rows: ir.Table, readers: list[Signal]) -> ir.Table:
    values = {signal.name: _cast_to_kind(signal.formula(rows), signal) for signal in readers}
    return rows.group_by(ACCOUNT_ID).aggregate(**values)


def _fill_empty(value: ir.Value, signal: Signal) -> ir.Value:
    return value if signal.empty is None else value.fill_null(signal.empty)


def _add_composite_signals(rows: ir.Table, signals: list[Signal]) -> ir.Table:
    """The rows with the signals that are computed from other signals, level by level."""
    while signals:
        ready = [signal for signal in signals if set(signal.inputs) <= set(rows.columns)]
        if not ready:
            raise LookupError(f"the inputs of {', '.join(signal.name for signal in signals)} are missing")
        inputs = {signal.name: [rows[name] for name in signal.inputs] for signal in ready}
        values = {signal.name: _cast_to_kind(signal.formula(*inputs[signal.name]), signal) for signal in ready}
        rows = rows.mutate(**values)
        signals = [signal for signal in signals if signal.name not in values]
    return rows


def _cast_to_kind(value: ir.Value, signal: Signal) -> ir.Value:
    return value.cast(COLUMN_TYPES[signal.kind])
