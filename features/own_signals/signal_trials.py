"""Tries signals on generated tables: nothing at or after as_of counts, and one account alone has the same values."""

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from random import Random

import ibis
import pyarrow as pa

from configs.errors import ConfigError
from configs.sections.publishing import EngineSettings
from features.compute.backends.base import Backend
from features.compute.backends.duckdb import open_duckdb
from features.compute.compute import compute_signals
from features.ingestion.reader import cast_tables
from features.own_signals.generated_tables import (
    AS_OF,
    Company,
    Row,
    Value,
    generate_company,
    shift_company,
    vocabulary_of,
)
from features.signals.base import Signal
from features.tables.contract import ACCOUNT_ID, ColumnContract, TableContract
from features.tables.raw_table import IBIS_TYPES, RawTable

Contract = Mapping[str, TableContract]
Values = dict[str, dict[str, Value]]
Compute = Callable[[Company, datetime], Values]
COMPANIES, SHIFT_DAYS = 12, 700
TOLERANCE = 1e-9  # sums of the same numbers in another order


@dataclass(frozen=True)
class SignalFault:
    """What a signal does wrong, in one sentence."""

    signal: str
    sentence: str


@dataclass(frozen=True)
class TrialResult:
    """The signals tried, what some of them do wrong, and those that never had a value, so that nothing was tried."""

    signals: tuple[str, ...]
    faults: tuple[SignalFault, ...]
    empty: tuple[str, ...]


@dataclass(frozen=True)
class _Trial:
    """A change of a company that must not change its signals, and what a signal does that it changes."""

    change: Callable[[Contract, Company], Company]
    fault: str
    other: str
    as_of: datetime = AS_OF


def try_signals(signals: tuple[Signal, ...], names: frozenset[str], contract: Contract) -> TrialResult:
    """Try the signals with these names, the first fault of each; `signals` are those and all that they need."""
    needed = {name: contract[name] for name in _tables(signals) if name in contract}
    backend = open_duckdb(EngineSettings(threads=1))
    compute = _compile(backend, needed, signals)
    vocabulary = vocabulary_of(signals)
    faults: dict[str, SignalFault] = {}
    filled: set[str] = set()
    for seed in range(COMPANIES):
        company = generate_company(needed, vocabulary, seed)
        values = compute(company, AS_OF)
        filled |= {name for row in values.values() for name, value in row.items() if value is not None}
        for fault in _faults(compute, needed, company, values):
            if fault.signal in names:
                faults.setdefault(fault.signal, fault)
    tried = tuple(signal.name for signal in signals if signal.name in names)
    return TrialResult(
        tried,
        tuple(faults[name] for name in tried if name in faults),
        tuple(name for name in tried if name not in filled),
    )


def raise_for_faults(result: TrialResult) -> None:
    """Raise ConfigError if a signal does something wrong, or if there was none to try."""
    if not result.signals:
        raise ConfigError("There are no signals of your own.", "Declare some under [signals] in the settings file.")
    if result.faults:
        count = len(result.faults)
        which = f"'{result.faults[0].signal}'" if count == 1 else f"{count} of your {len(result.signals)} signals"
        raise ConfigError(f"{which} cannot be used.", "Correct what is said above, or remove it.")


def _tables(signals: tuple[Signal, ...]) -> tuple[str, ...]:
    """The raw tables behind these signals, and those of the accounts at risk."""
    return tuple(dict.fromkeys(("accounts", "subscriptions", *(s.table.source for s in signals if s.table))))


def _compile(backend: Backend, contract: Contract, signals: tuple[Signal, ...]) -> Compute:
    def load(company: Company) -> dict[str, RawTable]:
        return {name: _load(backend, table, company[name]) for name, table in contract.items()}

    tables = cast_tables(load({name: [] for name in contract}))
    rows_on = backend.compile_for_instants(lambda as_of: compute_signals(tables, signals, as_of))

    def compute(company: Company, as_of: datetime) -> Values:
        load(company)
        return {row.pop(ACCOUNT_ID): row for row in rows_on(as_of).to_pylist()}

    return compute


def _load(backend: Backend, table: TableContract, rows: list[Row]) -> RawTable:
    assert backend.create_table, "DuckDB holds tables"
    types = {name: IBIS_TYPES[column.type] for name, column in table.columns.items()}
    arrow = pa.Table.from_pylist(rows, schema=ibis.schema(types).to_pyarrow())
    return RawTable(table, backend.create_table(f"generated_{table.name}", arrow), frozenset(types))


def _faults(compute: Compute, contract: Contract, company: Company, values: Values) -> Iterator[SignalFault]:
    for trial in _trials():
        other = compute(trial.change(contract, company), trial.as_of)
        yield from _differences(trial, values, other)
    for account, row in values.items():
        alone = compute(_only(company, account), AS_OF)
        trial = _Trial(lambda _, same: same, "is not per account", "for the account alone")
        yield from _differences(trial, {account: row}, alone)
    for row in values.values():
        for name, value in row.items():
            if isinstance(value, float) and not math.isfinite(value):
                yield SignalFault(name, f"'{name}' gives {value}: divide by a value.nullif(0).")


def _trials() -> tuple[_Trial, ...]:
    peeks, clock = "peeks at the future", "depends on a fixed date, or on today's"
    return (
        _Trial(_without_later_rows, peeks, "without the rows at or after as_of"),
        _Trial(_without_later_values, peeks, "without the values that became known at or after as_of"),
        _Trial(_shuffled, "depends on the order of rows", "with the same rows in another order"),
        _Trial(
            lambda _, company: shift_company(company, SHIFT_DAYS),
            clock,
            f"with all dates and as_of {SHIFT_DAYS} days later",
            AS_OF + timedelta(days=SHIFT_DAYS),
        ),
    )


def _differences(trial: _Trial, values: Values, other: Values) -> Iterator[SignalFault]:
    for account, row in values.items():
        for name, value in row.items():
            changed = other.get(account, {}).get(name)
            if not _equal(value, changed):
                shown, now = _shown(value), _shown(changed)
                yield SignalFault(name, f"'{name}' {trial.fault}: it is {shown}, and {now} {trial.other}.")


def _equal(left: Value, right: Value) -> bool:
    if isinstance(left, float) and isinstance(right, float):
        return math.isclose(left, right, rel_tol=TOLERANCE, abs_tol=TOLERANCE) or (
            math.isnan(left) and math.isnan(right)
        )
    return left == right


def _shown(value: Value) -> str:
    return "empty" if value is None else f"{value:.6g}" if isinstance(value, float) else f"{value}"


def _only(company: Company, account: str) -> Company:
    return {name: [row for row in rows if row[ACCOUNT_ID] == account] for name, rows in company.items()}


def _shuffled(_: Contract, company: Company) -> Company:
    return {name: Random(1).sample(rows, len(rows)) for name, rows in company.items()}


def _without_later_rows(contract: Contract, company: Company) -> Company:
    return {
        name: [row for row in rows if not any(_is_later(row[c]) for c in ("recorded_at", contract[name].at) if c)]
        for name, rows in company.items()
    }


def _without_later_values(contract: Contract, company: Company) -> Company:
    return {name: [_without_later(contract[name], row) for row in rows] for name, rows in company.items()}


def _without_later(table: TableContract, row: Row) -> Row:
    return {name: None if _became_known_later(table.columns[name], table, row) else v for name, v in row.items()}


def _became_known_later(column: ColumnContract, table: TableContract, row: Row) -> bool:
    if column.known_at is None and not column.settles_days:
        return False
    known_at = row[column.known_at or str(table.at)]
    if not isinstance(known_at, datetime):
        return True
    settled = AS_OF - timedelta(days=column.settles_days)
    # A period that ends at `as_of` has ended then.
    return known_at > settled if column.closes else known_at >= settled


def _is_later(value: Value) -> bool:
    return isinstance(value, datetime) and value >= AS_OF
