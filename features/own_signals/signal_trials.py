"""Tries signals on generated tables: nothing at or after as_of counts, and one account alone has the same values."""

import math
from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from random import Random

from configs.errors import ConfigError
from features.own_signals.generated_tables import (
    AS_OF,
    Company,
    Row,
    Value,
    generate_company,
    shift_company,
    vocabulary_of,
)
from features.own_signals.trial_engines import Compute, Contract, EngineKind, TrialEngine, Values, open_trial_engine
from features.signals.base import Signal
from features.tables.contract import ACCOUNT_ID, ColumnContract, TableContract

COMPANIES, SHIFT_DAYS = 12, 700
# A query of Spark takes about a second for a table of a few rows: with most companies it is only compared.
SPARK_COMPANIES = 1
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


ON_DUCKDB = _Trial(lambda _, same: same, "differs on Spark", "on DuckDB")


@dataclass(frozen=True)
class _Results:
    """The first fault of each signal, and the signals that had a value, or could not have any."""

    faults: dict[str, SignalFault]
    filled: set[str]

    def add(self, faults: Iterable[SignalFault]) -> None:
        for fault in faults:
            self.faults.setdefault(fault.signal, fault)


def try_signals(
    signals: tuple[Signal, ...], names: frozenset[str], contract: Contract, kind: EngineKind = "duckdb"
) -> TrialResult:
    """Try the signals with these names, the first fault of each; `signals` are those and all that they need.

    On Spark they are also compared with DuckDB. Raises ConfigError if the engine is not installed.
    """
    needed = {name: contract[name] for name in _tables(signals) if name in contract}
    with open_trial_engine("duckdb") as duckdb, open_trial_engine(kind) as engine:
        refused = {} if kind == "duckdb" else _refused(engine, needed, signals, names)
        computed = _without(signals, refused.keys())
        results = _Results(dict(refused), set(refused))
        compute = engine.compile(needed, computed)
        reference = duckdb.compile(needed, computed) if kind == "spark" else None
        for seed in range(COMPANIES):
            company = generate_company(needed, vocabulary_of(signals), seed)
            values = compute(company, AS_OF)
            results.filled.update(name for row in values.values() for name, value in row.items() if value is not None)
            if reference is None or seed < SPARK_COMPANIES:
                results.add(_faults(compute, needed, company, values))
            if reference:
                results.add(_differences(ON_DUCKDB, values, reference(company, AS_OF)))
    tried = tuple(signal.name for signal in signals if signal.name in names)
    return TrialResult(
        tried,
        tuple(results.faults[name] for name in tried if name in results.faults),
        tuple(name for name in tried if name not in results.filled),
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


def _refused(
    engine: TrialEngine, contract: Contract, signals: tuple[Signal, ...], names: frozenset[str]
) -> dict[str, SignalFault]:
    """The signals that the engine cannot compute, each with its reason."""
    if engine.explain_refusal(contract, signals) is None:
        return {}
    refused: dict[str, SignalFault] = {}
    for signal in signals:
        if signal.name in names and set(signal.inputs).isdisjoint(refused):
            reason = engine.explain_refusal(contract, _with_inputs(signals, signal.name))
            if reason:
                refused[signal.name] = SignalFault(
                    signal.name, f"'{signal.name}' cannot be computed on Spark: {reason}."
                )
    return refused


def _with_inputs(signals: tuple[Signal, ...], name: str) -> tuple[Signal, ...]:
    """A signal and all that it is computed from."""
    needed = {name}
    for signal in reversed(signals):
        needed |= set(signal.inputs) if signal.name in needed else set()
    return tuple(signal for signal in signals if signal.name in needed)


def _without(signals: tuple[Signal, ...], names: Collection[str]) -> tuple[Signal, ...]:
    """The signals without these, and without what is computed from them."""
    left_out = set(names)
    for signal in signals:
        left_out |= {signal.name} if left_out & set(signal.inputs) else set()
    return tuple(signal for signal in signals if signal.name not in left_out)


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
