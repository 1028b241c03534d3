"""Fingerprints: hashes of what signals compute, not of how their source is typed, named inside, or placed in modules.

They are made of the expressions that the formulas give over the contract's tables, and of those behind each table that
a formula reads. It takes some tenths of a second for all signals, so nothing here is computed before it is asked for.
"""

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import datetime
from functools import cache

import ibis
import ibis.expr.types as ir

from features.compute.compute import COLUMN_TYPES, compute, cut_table
from features.compute.expression_hash import hash_expression
from features.compute.usage_rollups import read_events, rollup_builders
from features.ingestion.reader import clean
from features.signals.base import Signal, signal
from features.signals.registry import catalogue, is_table
from features.tables.contract import CONTRACT
from features.tables.derived import BY_DAY, BY_STRETCH, DERIVED, HALF_A_YEAR, OF_DAYS, OF_STRETCHES
from features.tables.raw_table import IBIS_TYPES, RawTable

# Any midnights would do, if the later two are so close together that usage is read once for both.
SINCE, BEFORE, AS_OF = datetime(2001, 1, 1), datetime(2001, 6, 1), datetime(2001, 7, 1)
ACTIVE_WITHIN = 28


@cache
def signal_set(signals: tuple[Signal, ...]) -> str:
    """A hash that changes when a signal is added, taken away, renamed, computed differently, or put in another family.

    It also changes with the accounts that snapshots are taken of, and with the way signals are put together.
    """
    return _digest(*_frame(), *(f"{signal.family} {signal.name} {fingerprint(signal)}" for signal in signals))


@cache
def fingerprint(signal: Signal) -> str:
    """A hash of what a signal computes of its inputs; an input that is a signal has a fingerprint of its own."""
    table = signal.inputs[0] if is_table(signal.inputs[0]) else None
    value = signal.formula(table_columns(table)) if table else signal.formula(*_input_columns(signal))
    empty = None if signal.empty is None else float(signal.empty)
    how = f"{signal.inputs} {signal.days} {signal.kind} {empty}"
    return _digest(hash_expression(value), how, _table_fingerprint(table) if table else "")


@cache
def table_columns(name: str) -> ir.Table:
    """The columns that a formula finds in a table, raw or derived, behind which there is nothing."""
    return ibis.table(cut_table(contract_tables(), name, {name: HALF_A_YEAR}, AS_OF).schema(), name)


@cache
def contract_tables() -> Mapping[str, RawTable]:
    """Every table of the contract with every column, and no rows behind them."""
    empty = {
        name: ibis.table({column: IBIS_TYPES[declared.type] for column, declared in table.columns.items()}, name)
        for name, table in CONTRACT.items()
    }
    return clean({name: RawTable(CONTRACT[name], rows, frozenset(rows.columns)) for name, rows in empty.items()})


def _input_columns(signal: Signal) -> list[ir.Column]:
    kinds = {declared.name: COLUMN_TYPES[declared.kind] for declared in catalogue()}
    rows = ibis.table({name: kinds[name] for name in signal.inputs}, "signals")
    return [rows[name] for name in signal.inputs]


@cache
def _table_fingerprint(name: str) -> str:
    limit = DERIVED[name].days if name in DERIVED else None
    return _digest(str(limit), *map(hash_expression, _table_expressions(name)))


def _table_expressions(name: str) -> Iterator[ir.Table]:
    """Every expression by which a table is made: of data that names people or counts them, in a pass of its own or not.

    Tables of usage are also made of rollups.
    """
    named, reaches, shared = contract_tables(), {name: HALF_A_YEAR}, dict.fromkeys(OF_DAYS, HALF_A_YEAR)
    yield cut_table(named, name, reaches, AS_OF)
    if name in OF_STRETCHES:
        yield cut_table({**named, **_rollups(named["usage"], reaches)}, name, reaches, AS_OF)
    if name in OF_DAYS:
        counted = {**named, "usage": replace(named["usage"], given=named["usage"].given - {"user_id"})}
        yield cut_table(named, name, shared, AS_OF)
        yield cut_table(counted, name, reaches, AS_OF)
        yield cut_table(counted, name, shared, AS_OF)
        yield cut_table({**counted, **_rollups(counted["usage"], shared)}, name, shared, AS_OF)


def _rollups(usage: RawTable, reaches: Mapping[str, int]) -> dict[str, RawTable]:
    events = read_events(usage, SINCE, AS_OF)
    return {
        name: RawTable(BY_STRETCH if name in OF_STRETCHES else BY_DAY, build(events, SINCE), frozenset())
        for name, build in rollup_builders(usage, reaches, [BEFORE, AS_OF])
    }


@cache
def _frame() -> tuple[str, ...]:
    """Hashes of how any signals are computed together, of those whose churn is a subscription's end and of others."""

    @signal(empty=0)
    def rows(accounts: ir.Table) -> ir.Value:
        return accounts.count()

    @signal()
    def absolute(rows: ir.NumericColumn) -> ir.Value:
        return rows.abs()

    expressions = (compute(contract_tables(), rows + absolute, AS_OF, within) for within in (None, ACTIVE_WITHIN))
    return tuple(map(hash_expression, expressions))


def _digest(*texts: str) -> str:
    return hashlib.sha256("\0".join(texts).encode()).hexdigest()[:12]
