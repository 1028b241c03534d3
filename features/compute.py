"""Computing: the signals of every snapshot of one day, in one query over the tables as they were known."""

# pyright: reportOperatorIssue=false, reportArgumentType=false, reportCallIssue=false, reportAttributeAccessIssue=false
# (the published types of ibis do not cover its operators)

from collections.abc import Mapping
from datetime import datetime
from typing import Literal

import ibis
import ibis.expr.operations as ops
import ibis.expr.types as ir

from features.catalogue import is_table
from features.cut import as_known
from features.reading import RawTable
from features.signals.declaration import Signal
from features.tables import CONTRACT

KEY = "account_id"
COLUMN_TYPES = {"number": "float64", "category": "string"}
PEOPLE_EVENT = "active_users"
People = Literal["named", "counted", "unknown"]


def snapshots(tables: Mapping[str, RawTable], as_of: datetime, active_within: int | None = None) -> ir.Table:
    """The accounts that could leave: those with a subscription running at `as_of`, one row each.

    Where there are no contracts, those with a row of usage in the last `active_within` days.
    """
    if active_within is not None:
        return as_known(tables["usage"].rows, CONTRACT["usage"], as_of, active_within).select(KEY).distinct()
    known = as_known(tables["subscriptions"].rows, CONTRACT["subscriptions"], as_of)
    return known.filter(known.ended_at.isnull()).select(KEY).distinct()


def compute(
    tables: Mapping[str, RawTable], signals: tuple[Signal, ...], as_of: datetime, active_within: int | None = None
) -> ir.Table:
    """One row per snapshot: account_id, then one column per signal that these tables can carry."""
    rows = snapshots(tables, as_of, active_within)
    for name in _tables_read(signals):
        mine = [one for one in signals if one.inputs[0] == name]
        found = _aggregated(_cut(tables, name, _reach(mine), as_of), mine)
        rows = rows.left_join(found, KEY).drop(f"{KEY}_right")
        filled = {one.name: rows[one.name].fill_null(one.empty) for one in mine if one.empty is not None}
        rows = rows.mutate(**filled) if filled else rows
    for one in signals:
        if not is_table(one.inputs[0]):
            rows = rows.mutate(**{one.name: _as_kind(one.formula(*(rows[name] for name in one.inputs)), one)})
    return rows.select(KEY, *(one.name for one in signals))


def carried(tables: Mapping[str, RawTable], signals: tuple[Signal, ...], people: People) -> tuple[Signal, ...]:
    """The signals whose every table and column the data set has; the others are absent, which is not zero."""
    there: dict[str, Signal] = {}
    for one in signals:
        if all(_is_given(tables, one, name, people) if is_table(name) else name in there for name in one.inputs):
            there[one.name] = one
    return tuple(there.values())


def _tables_read(signals: tuple[Signal, ...]) -> list[str]:
    return list(dict.fromkeys(one.inputs[0] for one in signals if is_table(one.inputs[0])))


def _reach(signals: list[Signal]) -> int | None:
    days = [one.days for one in signals]
    return None if None in days else max(days)


def _source(name: str) -> str:
    return "usage" if name == "presence" else name


def _cut(tables: Mapping[str, RawTable], name: str, days: int | None, as_of: datetime) -> ir.Table:
    contract = CONTRACT[_source(name)]
    # A look-back over a state (a subscription, an account) needs the rows that began before the window too.
    known = as_known(tables[contract.name].rows, contract, as_of, days if contract.name == "usage" else None)
    if name == "usage":
        return known.filter(known.event != PEOPLE_EVENT)
    return _presence(known) if name == "presence" else known


def _presence(usage: ir.Table) -> ir.Table:
    """One row per account and day with anyone active: how many people, counted by the source or by their names."""
    day = usage.mutate(day=usage.occurred_at.truncate("D"))
    counted = ibis.cases((day.event == PEOPLE_EVENT, day.quantity))
    return (
        day.group_by(KEY, "day")
        .aggregate(people=ibis.coalesce(counted.max(), day.user_id.nunique().cast("float64")), age=day.age.max())
        .filter(lambda rows: rows.people > 0)
    )


def _aggregated(rows: ir.Table, signals: list[Signal]) -> ir.Table:
    return rows.group_by(KEY).aggregate(**{one.name: _as_kind(one.formula(rows), one) for one in signals})


def _as_kind(value: ir.Value, one: Signal) -> ir.Value:
    return value.cast(COLUMN_TYPES[one.kind])


def _is_given(tables: Mapping[str, RawTable], one: Signal, name: str, people: People) -> bool:
    if _source(name) not in tables:
        return False
    if name == "presence":
        return people != "unknown"
    contract = CONTRACT[name]
    typed = ibis.table({**_schema(tables[name]), **{f"{column}_age": "float64" for column in contract.columns}})
    rows = typed.mutate(age=ibis.literal(0.0))
    read = {
        field.name.removesuffix("_age") for field in one.formula(rows).op().find(ops.Field) if field.rel == rows.op()
    }
    return (read & contract.columns.keys()) <= tables[name].given


def _schema(table: RawTable) -> dict[str, str]:
    return {name: str(kind) for name, kind in table.rows.schema().items()}
