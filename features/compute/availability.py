"""Which signals a data set has the tables and columns for, and what it lacks for the others."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache

import ibis
import ibis.expr.operations as ops
import ibis.expr.types as ir

from features.signals.base import Signal
from features.signals.registry import is_table, source_table
from features.tables.contract import CONTRACT
from features.tables.derived import DERIVED, PeopleMode
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
        inputs = (
            _lacking_columns(tables, signal, people) if is_table(name) else lacking.get(name, frozenset({name}))
            for name in signal.inputs
        )
        lacking[signal.name] = frozenset().union(*inputs)
    return lacking


def _lacking_columns(tables: Tables, signal: Signal, people: PeopleMode) -> frozenset[str]:
    name = signal.inputs[0]
    contract = CONTRACT[source_table(name)]
    if contract.name not in tables:
        return frozenset({contract.name})
    defaults = {column for column, declared in contract.columns.items() if declared.default is not None}
    columns = _required_columns(signal) - tables[contract.name].source_columns - defaults
    lacking = {f"{contract.name}.{column}" for column in columns}
    if name in DERIVED and people not in DERIVED[name].people_modes:
        lacking.add(" or ".join(f'people = "{mode}"' for mode in sorted(DERIVED[name].people_modes)))
    return frozenset(lacking)


def _required_columns(signal: Signal) -> frozenset[str]:
    """The columns of its raw table that a signal needs."""
    name = signal.inputs[0]
    columns = CONTRACT[source_table(name)].columns.keys()
    if name not in DERIVED:
        return frozenset(_columns_read(signal) & columns)
    raw_columns = _columns_read(signal) & columns if DERIVED[name].has_raw_columns else frozenset()
    return DERIVED[name].required_columns | raw_columns


def _columns_read(signal: Signal) -> set[str]:
    rows = _readable_columns(source_table(signal.inputs[0]))
    fields = signal.formula(rows).op().find(ops.Field)
    return {field.name.removesuffix("_age") for field in fields if field.rel == rows.op()}


@cache
def _readable_columns(name: str) -> ir.Table:
    columns = CONTRACT[name].columns
    types = {column: IBIS_TYPES[declared.type] for column, declared in columns.items()}
    ages = {f"{column}_age": "float64" for column in columns}
    return ibis.table(types | ages).mutate(age=ibis.literal(0.0), days_ago=ibis.literal(0))
