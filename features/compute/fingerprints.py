"""Fingerprints: hashes of what signals compute, not of how their source is typed, named inside, or placed in modules.

They are made of the expressions that the formulas give over the contract's tables, and of those behind each table that
a formula reads. This takes some tenths of a second for all signals, so nothing here is computed before it is needed.
"""

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import datetime
from functools import cache

import ibis
import ibis.expr.types as ir

from features.compute.compute import COLUMN_TYPES, compute_signals, table_as_of
from features.compute.expression_hash import hash_expression
from features.compute.usage_rollups import (
    CALENDAR,
    CALENDAR_TYPES,
    RollupPlan,
    events_with_periods,
    rollup_aggregates,
    rollup_table,
)
from features.ingestion.reader import cast_tables
from features.ingestion.validation import mark_invalid_rows
from features.signals.base import Signal, signal
from features.tables.contract import CONTRACT, TableContract
from features.tables.derived import DAILY_TABLES, HALF_YEAR_DAYS, PERIOD_TABLES
from features.tables.input_table import INPUT_TABLES, InputTable
from features.tables.raw_table import IBIS_TYPES, RawTable

# Any two midnights would do that are close enough for rollups.
BEFORE, AS_OF = datetime(2001, 6, 1), datetime(2001, 7, 1)
ACTIVE_WITHIN = 28


@cache
def signal_set(signals: tuple[Signal, ...]) -> str:
    """A hash that changes when a signal is added, removed, renamed, computed differently, or moved to another family.

    It also changes with the accounts that snapshots are taken of, and with the way signals are put together.
    """
    return _digest(*_frame(), *(f"{signal.family} {signal.name} {fingerprint(signal)}" for signal in signals))


@cache
def fingerprint(signal: Signal) -> str:
    """A hash of what a signal computes from its inputs; an input that is a signal has a fingerprint of its own."""
    table = signal.table
    value = formula_value(signal)
    empty = None if signal.empty is None else float(signal.empty)
    declaration = f"{signal.inputs} {signal.days} {signal.kind} {empty}"
    return _digest(hash_expression(value), declaration, _table_fingerprint(table) if table else "")


def formula_value(signal: Signal) -> ir.Value:
    """What a formula gives for its inputs as unbound tables."""
    return signal.formula(table_columns(signal.table)) if signal.table else signal.formula(*_input_columns(signal))


@cache
def table_columns(table: InputTable) -> ir.Table:
    """The columns that a formula finds in a table, raw or derived, as an unbound table."""
    rows = table_as_of(_tables_behind(table), table, {table.name: HALF_YEAR_DAYS}, AS_OF)
    return ibis.table(rows.schema(), table.name)


@cache
def contract_tables() -> Mapping[str, RawTable]:
    """Every table of the contract with the columns that signals may read, as unbound tables."""
    return unbound_tables({name: _without_period_columns(table) for name, table in CONTRACT.items()})


def unbound_tables(contract: Mapping[str, TableContract]) -> Mapping[str, RawTable]:
    """These tables with every column, as unbound tables."""
    unbound = {
        name: ibis.table({column: IBIS_TYPES[declared.type] for column, declared in table.columns.items()}, name)
        for name, table in contract.items()
    }
    return cast_tables(
        {name: RawTable(contract[name], rows, frozenset(rows.columns)) for name, rows in unbound.items()}
    )


@cache
def rules_version() -> str:
    """A hash that changes when other rows of the raw tables are invalid than before."""
    return _digest(*(hash_expression(mark_invalid_rows(unbound_tables(CONTRACT), name)) for name in CONTRACT))


def _without_period_columns(table: TableContract) -> TableContract:
    return replace(table, columns={name: c for name, c in table.columns.items() if not c.cuts_periods})


def _input_columns(signal: Signal) -> list[ir.Column]:
    kinds = zip(signal.inputs, signal.input_kinds, strict=True)
    rows = ibis.table({name: COLUMN_TYPES[kind] for name, kind in kinds}, "signals")
    return [rows[name] for name in signal.inputs]


@cache
def _table_fingerprint(table: InputTable) -> str:
    limit = table.derived.max_days if table.derived else None
    return _digest(str(limit), *map(hash_expression, _table_expressions(table)))


def _tables_behind(table: InputTable) -> Mapping[str, RawTable]:
    if CONTRACT.get(table.source) is table.contract:
        return contract_tables()
    return {**contract_tables(), **unbound_tables({table.source: table.contract})}


def _table_expressions(table: InputTable) -> Iterator[ir.Table]:
    """Every expression that a table can come from.

    Data may identify people by user ids or by counts, tables of usage may share a pass over the events, and they may be
    built from rollups.
    """
    named, name, shared = _tables_behind(table), table.name, dict.fromkeys(DAILY_TABLES, HALF_YEAR_DAYS)
    single = {name: HALF_YEAR_DAYS}
    yield table_as_of(named, table, single, AS_OF)
    if name in PERIOD_TABLES:
        yield table_as_of({**named, **_rollups(named["usage"], single)}, table, single, AS_OF)
    if name in DAILY_TABLES:
        usage = named["usage"]
        counted = {**named, "usage": replace(usage, source_columns=usage.source_columns - {"user_id"})}
        yield table_as_of(named, table, shared, AS_OF)
        yield table_as_of(counted, table, single, AS_OF)
        yield table_as_of(counted, table, shared, AS_OF)
        yield table_as_of({**counted, **_rollups(counted["usage"], shared)}, table, shared, AS_OF)


def _rollups(usage: RawTable, lookbacks: Mapping[str, int]) -> dict[str, RawTable]:
    plan = RollupPlan([BEFORE, AS_OF], lookbacks)
    events = events_with_periods(usage, ibis.table(CALENDAR_TYPES, CALENDAR), plan)
    return {name: rollup_table(name, aggregate(events)) for name, aggregate in rollup_aggregates(usage, plan)}


@cache
def _frame() -> tuple[str, ...]:
    """Hashes of how signals are put together, for churn as the end of a subscription and as inactivity."""

    @signal(empty=0)
    def rows(accounts: ir.Table) -> ir.Value:
        return accounts.count()

    @signal()
    def absolute(rows: ir.NumericColumn) -> ir.Value:
        return rows.abs()

    tables, accounts = contract_tables(), INPUT_TABLES["accounts"]
    frame = (replace(rows[0], table=accounts), replace(absolute[0], input_kinds=("number",)))
    expressions = (compute_signals(tables, frame, AS_OF, within) for within in (None, ACTIVE_WITHIN))
    return tuple(map(hash_expression, expressions))


def _digest(*texts: str) -> str:
    return hashlib.sha256("\0".join(texts).encode()).hexdigest()[:12]
