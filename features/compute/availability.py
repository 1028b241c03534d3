"""Which signals a data set has the tables and columns for, and what it lacks for the others."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache

import ibis
import ibis.expr.operations as ops
import ibis.expr.types as ir

from features.signals.base import Signal
from features.tables.derived import PeopleMode
from features.tables.input_table import InputTable
from features.tables.raw_table import IBIS_TYPES, RawTable

Tables = Mapping[str, RawTable]


@dataclass(frozen=True)
class MissingInput:
    """What a data set lacks: tables, or columns as `table.column`, and the signals that it would make possible."""

    inputs: tuple[str, ...]
    signals: tuple[str, ...]


def available_signals(tables: Tables, signals: tuple[Signal, ...], people: PeopleMode) -> tuple[Signal, ...]:
    """The signals whose every table and column the data set has. The others are absent, which is not zero."""
    lacking = _lacking_inputs(tables, signals, people)
    return tuple(signal for signal in signals if not lacking[signal.name])


def missing_inputs(tables: Tables, signals: tuple[Signal, ...], people: PeopleMode) -> tuple[MissingInput, ...]:
    """What the data set lacks for the signals that are not available, by what they lack, most signals first."""
    lacking = {name: inputs for name, inputs in _lacking_inputs(tables, signals, people).items() if inputs}
    counts = Counter(lacking.values())
    return tuple(
        MissingInput(tuple(sorted(inputs)), tuple(name for name in lacking if lacking[name] == inputs))
        for inputs in sorted(counts, key=lambda inputs: (-counts[inputs], sorted(inputs)))
    )


def _lacking_inputs(tables: Tables, signals: tuple[Signal, ...], people: PeopleMode) -> dict[str, frozenset[str]]:
    lacking: dict[str, frozenset[str]] = {}
    for signal in signals:
        if signal.table:
            lacking[signal.name] = _lacking_columns(tables, signal, signal.table, people)
        else:
            inputs = (lacking.get(name, frozenset({name})) for name in signal.inputs)
            lacking[signal.name] = frozenset().union(*inputs)
    return lacking


def _lacking_columns(tables: Tables, signal: Signal, table: InputTable, people: PeopleMode) -> frozenset[str]:
    contract, derived = table.contract, table.derived
    if contract.name not in tables:
        return frozenset({contract.name})
    defaults = {column for column, declared in contract.columns.items() if declared.default is not None}
    columns = _required_columns(signal, table) - tables[contract.name].source_columns - defaults
    lacking = {f"{contract.name}.{column}" for column in columns}
    if derived and people not in derived.people_modes:
        lacking.add(" or ".join(f'people = "{mode}"' for mode in sorted(derived.people_modes)))
    return frozenset(lacking)


def _required_columns(signal: Signal, table: InputTable) -> frozenset[str]:
    """The columns of its raw table that a signal needs."""
    columns, derived = table.contract.columns.keys(), table.derived
    if derived is None:
        return frozenset(_columns_read(signal, table) & columns)
    raw_columns = _columns_read(signal, table) & columns if derived.has_raw_columns else frozenset()
    return derived.required_columns | raw_columns


def _columns_read(signal: Signal, table: InputTable) -> set[str]:
    rows = _readable_columns(table)
    fields = signal.formula(rows).op().find(ops.Field)
    return {field.name.removesuffix("_age") for field in fields if field.rel == rows.op()}


@cache
def _readable_columns(table: InputTable) -> ir.Table:
    columns = table.contract.columns
    types = {column: IBIS_TYPES[declared.type] for column, declared in columns.items()}
    ages = {f"{column}_age": "float64" for column in columns}
    return ibis.table(types | ages).mutate(age=ibis.literal(0.0), days_ago=ibis.literal(0))
