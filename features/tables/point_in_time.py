"""The cut: the one place where time is cut. What was known before an instant stays, nothing else."""

# pyright: reportOperatorIssue=false, reportArgumentType=false, reportCallIssue=false, reportAttributeAccessIssue=false
# (the published types of ibis do not cover its operators)

from datetime import datetime

import ibis
import ibis.expr.types as ir

from features.tables.contract import Table

SECONDS_A_DAY = 86_400
STORED = "_as_stored"


def as_known(rows: ir.Table, table: Table, as_of: datetime, days: int | None = None) -> ir.Table:
    """The rows of a raw table as they were known just before `as_of`, of the last `days` where given.

    A row counts when it happened, and was recorded, before `as_of`. A value that became known later, or had not settled
    yet, is null. Every instant X gains X_age, the days from it to `as_of` (negative for what lies ahead), and `age` is
    that of the row; `days_ago` is how many days ago the row's day was, 1 for the day before `as_of`.
    """
    return aged(known(rows, table, as_of, days), table, as_of)


def known(rows: ir.Table, table: Table, as_of: datetime, days: int | None = None) -> ir.Table:
    """What `as_known` gives, without the ages."""
    # Here and in what follows an instant becomes a part of a query, and nowhere else: `engine` counts on it.
    now = ibis.timestamp(as_of.isoformat())
    if "recorded_at" in rows.columns:
        rows = rows.filter(rows.recorded_at.isnull() | (rows.recorded_at < now.cast(rows.recorded_at.type())))
    rows = _happened(rows, table, None if days is None else now - ibis.interval(days=days), now)
    return rows.mutate(**{name: _if_known(rows, table, name, now) for name in _learned_later(table)})


def aged(rows: ir.Table, table: Table, as_of: datetime) -> ir.Table:
    """The rows with the age of each of their instants at `as_of`, and of each day X with X_ago, whole days."""
    now = ibis.timestamp(as_of.isoformat())
    instants = [name for name, column in table.columns.items() if column.type == "instant" and name in rows.columns]
    ages = {f"{name}_age": now.delta(rows[name], unit="second") / SECONDS_A_DAY for name in instants}
    days = [name for name, column in table.columns.items() if column.type == "day" and name in rows.columns]
    ago = {f"{name}_ago": _days_ago(rows[name], now) for name in days}
    if table.at in instants:
        ages["age"] = ages[f"{table.at}_age"]
    if table.at in rows.columns:
        # Whole numbers are compared with a window in half the time that ages take.
        ago["days_ago"] = _days_ago(rows[table.at], now)
    return rows.mutate(**ages, **ago)


def happened_between(rows: ir.Table, table: Table, since: datetime, until: datetime) -> ir.Table:
    """The rows of a raw table that happened from one instant until just before another, whenever they were recorded."""
    return _happened(rows, table, ibis.timestamp(since.isoformat()), ibis.timestamp(until.isoformat()))


def known_later(recorded_at: ir.TimestampValue, until: datetime) -> ir.Value:
    """The day on which a row became known, where that was not before `until`; null where it was."""
    return (recorded_at >= ibis.timestamp(until.isoformat())).ifelse(recorded_at.date(), ibis.null("date"))


def _days_ago(day: ir.Value, now: ir.TimestampValue) -> ir.Value:
    return now.date().delta(day.cast("date"), unit="day")


def _happened(rows: ir.Table, table: Table, since: ir.TimestampValue | None, until: ir.TimestampValue) -> ir.Table:
    for at in _happened_at(rows, table):
        rows = rows.filter(rows[at] < until.cast(rows[at].type()))
        rows = rows if since is None else rows.filter(rows[at] >= since.cast(rows[at].type()))
    return rows


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
