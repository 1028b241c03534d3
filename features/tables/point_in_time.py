"""The point-in-time cut: the only module that filters rows by what was known before an instant."""

from collections.abc import Iterator
from datetime import datetime

import ibis
import ibis.expr.types as ir

from features.tables.contract import ColumnContract, TableContract

SECONDS_PER_DAY = 86_400
STORED_SUFFIX = "_as_stored"
FAR_FUTURE = "2200-01-01"
STAYS_UNTIL = "stays_until"  # of paused subscriptions: until when the account has not left
CONTINUES = "continues"  # of joined periods: whether the next one begins where this one ends
# Of rows of merged accounts: the account that their source names, and from when until when account_id owns them.
WRITTEN_ID, OWNED_FROM, OWNED_UNTIL = "written_account_id", "owned_from", "owned_until"
OWNED = (OWNED_FROM, OWNED_UNTIL)
Instant = datetime | ir.TimestampValue


def as_of_view(rows: ir.Table, table: TableContract, as_of: Instant, days: int | None = None) -> ir.Table:
    """The rows of a raw table as they were known just before `as_of`, of the last `days` if given.

    A row counts if it happened, and was recorded, before `as_of`, for the account that it then belonged to. A value
    that became known later, or had not settled yet, is null; but a row that closes at `as_of` has ended then, unless it
    continues. Every instant X gains X_age, the days from it to `as_of` (negative for instants ahead), and `age` is that
    of the row. `days_ago` is how many days ago the row's day was: 1 for the day before `as_of`.
    """
    return add_ages(filter_as_of(rows, table, as_of, days), table, as_of)


def filter_as_of(rows: ir.Table, table: TableContract, as_of: Instant, days: int | None = None) -> ir.Table:
    """The rows of `as_of_view` without the ages."""
    now = _timestamp(as_of)
    if "recorded_at" in rows.columns:
        rows = rows.filter(rows.recorded_at.isnull() | (rows.recorded_at < now.cast(rows.recorded_at.type())))
    rows = _filter_occurred(
        _filter_owned(rows, now), table, None if days is None else now - ibis.interval(days=days), now
    )
    return rows.mutate(**{name: _known_value(rows, table, name, now) for name in _columns_learned_later(table)})


def filter_before(rows: ir.Table, table: TableContract, until: Instant) -> ir.Table:
    """The rows of a raw table that happened before `until`, whenever they were recorded.

    A value that became known, or settled, at `until` or later is null: a row that closes at `until` is still open.
    """
    now = _timestamp(until)
    rows = _filter_occurred(rows, table, None, now)
    later = {name: table.columns[name] for name in _columns_learned_later(table) if name in rows.columns}
    is_known = {
        name: rows[column.known_at or table.at or name] < _settled(column, now) for name, column in later.items()
    }
    return rows.mutate(**{name: flag.ifelse(rows[name], ibis.null()) for name, flag in is_known.items()})


def add_ages(rows: ir.Table, table: TableContract, as_of: Instant) -> ir.Table:
    """The rows with the age of each of their instants at `as_of`, and X_ago, whole days, of each day X."""
    now = _timestamp(as_of)
    instants = [name for name, column in table.columns.items() if column.type == "instant" and name in rows.columns]
    ages = {f"{name}_age": now.delta(rows[name], unit="second") / SECONDS_PER_DAY for name in instants}
    days = [name for name, column in table.columns.items() if column.type == "day" and name in rows.columns]
    days_ago = {f"{name}_ago": _days_ago(rows[name], now) for name in days}
    if table.at in instants:
        ages["age"] = ages[f"{table.at}_age"]
    if table.at in rows.columns:
        # Comparing whole numbers with a window takes half the time of comparing ages.
        days_ago["days_ago"] = _days_ago(rows[table.at], now)
    return rows.mutate(**ages, **days_ago)


def filter_between(rows: ir.Table, table: TableContract, since: Instant, until: Instant) -> ir.Table:
    """The rows of a raw table that happened from `since` until just before `until`, whenever they were recorded."""
    return _filter_occurred(rows, table, _timestamp(since), _timestamp(until))


def has_closed(rows: ir.Table, column: str, now: ir.Value) -> ir.BooleanValue:
    """Whether rows that run until the instant in `column` have ended at `now`: a period does not contain its end.

    A period that continues in the next one ends after that has begun, so that no instant lies between them.
    """
    ends_now = rows[column] == now
    return (rows[column] < now) | (ends_now & ~rows[CONTINUES] if CONTINUES in rows.columns else ends_now)


def _timestamp(instant: Instant) -> ir.TimestampValue:
    return ibis.timestamp(instant.isoformat()) if isinstance(instant, datetime) else instant


def _days_ago(day: ir.Value, now: ir.TimestampValue) -> ir.Value:
    return now.date().delta(day.cast("date"), unit="day")


def _filter_occurred(
    rows: ir.Table, table: TableContract, since: ir.TimestampValue | None, until: ir.TimestampValue
) -> ir.Table:
    for name in _occurrence_columns(rows, table):
        rows = rows.filter(rows[name] < until.cast(rows[name].type()))
        rows = rows if since is None else rows.filter(rows[name] >= since.cast(rows[name].type()))
    return rows


def _filter_owned(rows: ir.Table, now: ir.TimestampValue) -> ir.Table:
    """The rows of the owner at an instant, without its time; a merge counts after it became known, as all rows do."""
    if OWNED_FROM not in rows.columns:
        return rows
    has_begun = rows[OWNED_FROM].isnull() | (rows[OWNED_FROM] < now)
    return rows.filter(has_begun & (rows[OWNED_UNTIL].isnull() | (rows[OWNED_UNTIL] >= now))).drop(*OWNED)


def _columns_learned_later(table: TableContract) -> Iterator[str]:
    return (name for name, column in table.columns.items() if column.known_at or column.settles_days)


def _known_value(rows: ir.Table, table: TableContract, name: str, now: ir.TimestampValue) -> ir.Value:
    column = table.columns[name]
    settled = _settled(column, now)
    known_at = column.known_at or table.at
    assert known_at, f"{table.name}.{name} has no instant at which it became known"
    is_known = has_closed(rows, name, settled) if column.closes else rows[known_at] < settled
    return is_known.ifelse(rows[name], ibis.null())


def _settled(column: ColumnContract, now: ir.TimestampValue) -> ir.TimestampValue:
    """Before when a value has to have become known in order to count at `now`."""
    return now - ibis.interval(days=column.settles_days) if column.settles_days else now


def _occurrence_columns(rows: ir.Table, table: TableContract) -> list[str]:
    """The instant at which rows happened, and the same instant as the file stores it.

    The file's statistics of the stored instant let a query skip row groups. An instant that is read through a cast,
    from another unit or a time zone, has no statistics, and a day would read all history.
    """
    return [] if table.at is None else [name for name in (table.at, table.at + STORED_SUFFIX) if name in rows.columns]
