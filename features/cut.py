"""The cut: the one place where time is cut. What was known before an instant stays, nothing else."""

# pyright: reportOperatorIssue=false, reportArgumentType=false, reportCallIssue=false, reportAttributeAccessIssue=false
# (the published types of ibis do not cover its operators)

from datetime import datetime

import ibis
import ibis.expr.types as ir

from features.tables import Table

Instant = datetime | ir.TimestampValue  # a known one, or one that the engine is told of later
SECONDS_A_DAY = 86_400
STORED = "_as_stored"


def as_known(rows: ir.Table, table: Table, as_of: Instant, days: int | None = None) -> ir.Table:
    """The rows of a raw table as they were known just before `as_of`, of the last `days` where given.

    A row counts when it happened, and was recorded, before `as_of`. A value that became known later, or had not settled
    yet, is null. Every instant X gains X_age, the days from it to `as_of` (negative for what lies ahead), and `age` is
    that of the row.
    """
    now = ibis.timestamp(as_of.isoformat()) if isinstance(as_of, datetime) else as_of
    known = rows.filter(rows.recorded_at.isnull() | (rows.recorded_at < now))
    for at in _happened_at(rows, table):
        known = known.filter(known[at] < now.cast(known[at].type()))
        since = now - ibis.interval(days=days or 0)
        known = known if days is None else known.filter(known[at] >= since.cast(known[at].type()))
    known = known.mutate(**{name: _if_known(known, table, name, now) for name in _learned_later(table)})
    instants = [name for name, column in table.columns.items() if column.type == "instant"]
    ages = {f"{name}_age": now.delta(known[name], unit="second") / SECONDS_A_DAY for name in instants}
    return known.mutate(**ages, **({"age": ages[f"{table.at}_age"]} if table.at else {}))


def _learned_later(table: Table) -> list[str]:
    return [name for name, column in table.columns.items() if column.known_at or column.settles_days]


def _if_known(rows: ir.Table, table: Table, name: str, now: ir.TimestampValue) -> ir.Value:
    column = table.columns[name]
    settled = now - ibis.interval(days=column.settles_days) if column.settles_days else now
    return (rows[column.known_at or table.at] < settled).ifelse(rows[name], ibis.null())


def _happened_at(rows: ir.Table, table: Table) -> list[str]:
    """When its rows happened, and the same as the file stores it, by whose statistics whole row groups are skipped.

    Seen through a cast, from another unit or a zone, an instant has no statistics, and a day would read all history.
    """
    return [] if table.at is None else [name for name in (table.at, table.at + STORED) if name in rows.columns]
