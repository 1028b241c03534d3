"""Computing: the signals of every snapshot of one day, in one query over the tables as they were known."""

# pyright: reportOperatorIssue=false, reportArgumentType=false, reportCallIssue=false, reportAttributeAccessIssue=false
# (the published types of ibis do not cover its operators)

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, time
from functools import cache

import ibis
import ibis.expr.operations as ops
import ibis.expr.types as ir
import pyarrow as pa

from features.compute.backends.base import Engine
from features.compute.usage_rollups import keep_usage
from features.signals.base import Signal
from features.signals.registry import is_table, source_of
from features.tables.contract import CONTRACT
from features.tables.derived import (
    BY_DAY,
    BY_STRETCH,
    DERIVED,
    KEY,
    OF_DAYS,
    OF_STRETCHES,
    People,
    by_day,
    named_events,
    used_in_stretches,
    whole_days,
)
from features.tables.point_in_time import aged, as_known, known
from features.tables.raw_table import IBIS_TYPES, RawTable

COLUMN_TYPES = {"number": "float64", "category": "string"}


@dataclass(frozen=True)
class Asked:
    """What is to be computed: these signals of these midnights, for the snapshots that `active_within` tells of."""

    signals: tuple[Signal, ...]
    days: Sequence[datetime]
    active_within: int | None = None


def snapshots(tables: Mapping[str, RawTable], as_of: datetime, active_within: int | None = None) -> ir.Table:
    """The accounts that could leave: those with a subscription running at `as_of`, one row each.

    Where there are no contracts, those with a row of usage in the last `active_within` days.
    """
    if active_within is not None:
        return as_known(tables["usage"].rows, CONTRACT["usage"], as_of, active_within).select(KEY).distinct()
    running = as_known(tables["subscriptions"].rows, CONTRACT["subscriptions"], as_of)
    return running.filter(running.ended_at.isnull()).select(KEY).distinct()


def compute(
    tables: Mapping[str, RawTable], signals: tuple[Signal, ...], as_of: datetime, active_within: int | None = None
) -> ir.Table:
    """One row per snapshot: account_id, then one column per signal that these tables can carry; `as_of` is a midnight.

    Raises ValueError for another instant: windows are made of whole days.
    """
    _refuse_within_a_day(as_of)
    rows = snapshots(tables, as_of, active_within)
    direct = [one for one in signals if is_table(one.inputs[0])]
    readers, reaches = _readers(signals), _reaches(signals)
    for name, mine in readers.items():
        found = _aggregated(cut_table(tables, name, reaches, as_of), mine)
        rows = rows.left_join(found, KEY, rname=f"{name}_{{name}}")
    rows = rows.select(KEY, **{one.name: _filled(rows[one.name], one) for one in direct})
    rows = _combined(rows, [one for one in signals if not is_table(one.inputs[0])])
    return rows.select(KEY, *(one.name for one in signals))


def prepare(engine: Engine, tables: Mapping[str, RawTable], asked: Asked) -> Callable[[datetime], pa.Table]:
    """What `compute` gives, for the asked midnights one after the other.

    The query is translated for the engine once where it can be, or was before. Where the midnights lie closer than the
    signals look back, usage is read once for all of them.
    """
    for as_of in asked.days:
        _refuse_within_a_day(as_of)
    kept, hold = keep_usage(engine, tables, _reaches(asked.signals), asked.days)
    read = {**tables, **kept}
    rows_at = engine.at_any(lambda as_of: compute(read, asked.signals, as_of, asked.active_within))

    def rows_on(as_of: datetime) -> pa.Table:
        hold(as_of)
        return rows_at(as_of)

    return rows_on


def carried(tables: Mapping[str, RawTable], signals: tuple[Signal, ...], people: People) -> tuple[Signal, ...]:
    """The signals whose every table and column the data set has; the others are absent, which is not zero."""
    there: dict[str, Signal] = {}
    for one in signals:
        if all(_is_given(tables, one, name, people) if is_table(name) else name in there for name in one.inputs):
            there[one.name] = one
    return tuple(there.values())


def _refuse_within_a_day(as_of: datetime) -> None:
    if as_of.time() != time():
        raise ValueError(f"{as_of} is no midnight")


def _readers(signals: tuple[Signal, ...]) -> dict[str, list[Signal]]:
    """The signals that read each table, raw or derived."""
    read = dict.fromkeys(one.inputs[0] for one in signals if is_table(one.inputs[0]))
    return {name: [one for one in signals if one.inputs[0] == name] for name in read}


def _reaches(signals: tuple[Signal, ...]) -> dict[str, int | None]:
    return {name: _reach(name, mine) for name, mine in _readers(signals).items()}


def _reach(name: str, signals: list[Signal]) -> int | None:
    days = [one.days for one in signals]
    furthest = None if None in days else max(days)
    most = DERIVED[name].days if name in DERIVED else None
    return min((limit for limit in (furthest, most) if limit is not None), default=None)


def cut_table(
    tables: Mapping[str, RawTable], name: str, reaches: Mapping[str, int | None], as_of: datetime
) -> ir.Table:
    """A table, raw or derived, as it was known at `as_of`, with what is in `reaches` looking back so many days."""
    if name in OF_DAYS:
        return DERIVED[name].build(_days(tables, name, reaches, as_of))
    if name in tables and name in OF_STRETCHES:
        return used_in_stretches(as_known(tables[name].rows, BY_STRETCH, as_of, reaches[name]), OF_STRETCHES[name])
    contract = CONTRACT[source_of(name)]
    # A look-back over a state (a subscription, an account) needs the rows that began before the window too.
    rows = as_known(tables[contract.name].rows, contract, as_of, reaches[name] if contract.name == "usage" else None)
    if name in DERIVED:
        return DERIVED[name].build(rows)
    return named_events(rows) if name == "usage" else rows


def _days(tables: Mapping[str, RawTable], name: str, reaches: Mapping[str, int | None], as_of: datetime) -> ir.Table:
    """Usage by day as it was known: of the days that are kept, or made of the events."""
    limited = reaches[name] is not None
    if limited and BY_DAY.name in tables and OF_DAYS[name] in tables[BY_DAY.name].rows.columns:
        kept = known(tables[BY_DAY.name].rows, BY_DAY, as_of, reaches[name])
        return aged(whole_days(kept) if "in_parts" in kept.columns else kept, BY_DAY, as_of)
    usage = known(tables["usage"].rows, CONTRACT["usage"], as_of, reaches[name])
    # Tables that look back equally far take one pass over the events for all that they read of days.
    told = {OF_DAYS[other] for other in OF_DAYS if reaches.get(other, 0) == reaches[name]}
    return aged(by_day(usage, told, named=_names_people(tables)), BY_DAY, as_of)


def _names_people(tables: Mapping[str, RawTable]) -> bool:
    return "user_id" in tables["usage"].given


def _aggregated(rows: ir.Table, signals: list[Signal]) -> ir.Table:
    return rows.group_by(KEY).aggregate(**{one.name: _as_kind(one.formula(rows), one) for one in signals})


def _filled(value: ir.Value, one: Signal) -> ir.Value:
    return value if one.empty is None else value.fill_null(one.empty)


def _combined(rows: ir.Table, signals: list[Signal]) -> ir.Table:
    """With the signals made of other signals, those that only need what is already there at once."""
    while signals:
        ready = [one for one in signals if set(one.inputs) <= set(rows.columns)]
        if not ready:
            raise LookupError(f"the signals that make {', '.join(one.name for one in signals)} were left out")
        made = {one.name: _as_kind(one.formula(*(rows[name] for name in one.inputs)), one) for one in ready}
        rows = rows.mutate(**made)
        signals = [one for one in signals if one.name not in made]
    return rows


def _as_kind(value: ir.Value, one: Signal) -> ir.Value:
    return value.cast(COLUMN_TYPES[one.kind])


def _is_given(tables: Mapping[str, RawTable], one: Signal, name: str, people: People) -> bool:
    if source_of(name) not in tables:
        return False
    contract = CONTRACT[source_of(name)]
    by_default = {column for column, what in contract.columns.items() if what.default is not None}
    given = tables[contract.name].given | by_default
    if name in DERIVED:
        return people in DERIVED[name].people and DERIVED[name].reads <= given
    return (_columns_read(one) & contract.columns.keys()) <= given


def _columns_read(one: Signal) -> set[str]:
    rows = _columns_to_read(one.inputs[0])
    fields = one.formula(rows).op().find(ops.Field)
    return {field.name.removesuffix("_age") for field in fields if field.rel == rows.op()}


@cache
def _columns_to_read(name: str) -> ir.Table:
    columns = CONTRACT[name].columns
    types = {column: IBIS_TYPES[declared.type] for column, declared in columns.items()}
    ages = {f"{column}_age": "float64" for column in columns}
    return ibis.table(types | ages).mutate(age=ibis.literal(0.0), days_ago=ibis.literal(0))
