"""The audit for other tools: who did what, with the feedback and outcomes that people reported, oldest first.

Feedback and outcomes are read where they are stored and not copied into the audit: there they are erased with their
account, and the audit is kept for ever.
"""

from collections.abc import Iterator
from datetime import UTC, datetime, tzinfo
from heapq import merge

import sqlalchemy as sql

from serving.ledger.schema import FEEDBACK, OUTCOMES
from serving.security.audit_log import AuditEvent, read_audit_events

FEEDBACK_DETAILS = ("verdict", "as_of", "mark", "mark_until", "unmark")
OUTCOME_DETAILS = ("outcome", "on", "voluntary")
ROWS_PER_FETCH = 1_000


def export_audit(engine: sql.Engine, since: datetime | None = None, action: str = "") -> Iterator[AuditEvent]:
    """Every event from an instant on, oldest first, or those of one action. Notes that people wrote are left out."""
    tables = (FEEDBACK, FEEDBACK_DETAILS), (OUTCOMES, OUTCOME_DETAILS)
    reported = [_read_reported(engine, table, since, details) for table, details in tables]
    recorded = sorted(read_audit_events(engine, since, action), key=_time_of)
    merged = merge(recorded, *reported, key=_time_of)
    return (event for event in merged if action in {"", event["action"]})


def in_zone(event: AuditEvent, zone: tzinfo) -> dict[str, object]:
    """An event with its time in a zone, as ISO 8601 with the offset from UTC."""
    at = event["at"].replace(tzinfo=UTC).astimezone(zone)
    return {**event, "at": at.isoformat(timespec="milliseconds")}


def _time_of(event: AuditEvent) -> datetime:
    return event["at"]


def _read_reported(
    engine: sql.Engine, table: sql.Table, since: datetime | None, details: tuple[str, ...]
) -> Iterator[AuditEvent]:
    """The rows of a table of reports as events: `by` whoever the report names, about the account."""
    query = sql.select(table).order_by(table.c.received_at, table.c.id)
    query = query.where(table.c.received_at >= since) if since else query
    with engine.connect() as connection:
        for row in connection.execution_options(yield_per=ROWS_PER_FETCH).execute(query).mappings():
            yield {
                "at": row["received_at"],
                "actor": row.get("by") or "",
                "action": "feedback" if table is FEEDBACK else "outcome_reported",
                "subject": row["account_id"],
                "details": {name: row[name] for name in details if row[name] not in {None, "", False}},
            }
