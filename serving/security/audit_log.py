"""The audit log: who created and revoked keys, promoted, overrode and erased, and what was denied.

What people did is kept for ever. Denied requests are counted, so that a flood of them makes some rows, and are removed
after a while.
"""

import json
import threading
from collections import Counter
from datetime import datetime
from typing import NamedTuple, TypedDict

import sqlalchemy as sql
from sqlalchemy.exc import DBAPIError

from serving.ledger.schema import AUDIT_LOG
from serving.schemas.enums import AuditAction

MAX_DISTINCT_DENIALS = 50
DENIED: AuditAction = "denied"


class AuditEvent(TypedDict):
    """Who did what, to what, and when."""

    at: datetime
    actor: str
    action: str
    subject: str
    details: dict[str, object]


class Denial(NamedTuple):
    """Whose request was denied, why, and on which path."""

    actor: str
    reason: str
    path: str


def append_audit_event(
    engine: sql.Engine, at: datetime, actor: str, action: AuditAction, *, subject: str = "", **details: object
) -> None:
    """Record what someone did, and to what; empty details are left out."""
    text = json.dumps({name: value for name, value in details.items() if value not in ("", None)})
    row = {"at": at, "actor": actor[:100], "action": action, "subject": subject[:200], "details": text}
    with engine.begin() as connection:
        connection.execute(AUDIT_LOG.insert().values(row))


def read_audit_events(engine: sql.Engine, since: datetime | None = None, action: str = "") -> list[AuditEvent]:
    """The recorded events, oldest first."""
    query = sql.select(*(AUDIT_LOG.c[name] for name in AuditEvent.__annotations__)).order_by(AUDIT_LOG.c.id)
    query = query.where(AUDIT_LOG.c.at >= since) if since else query
    query = query.where(AUDIT_LOG.c.action == action) if action else query
    with engine.connect() as connection:
        rows = connection.execute(query).mappings()
        return [AuditEvent(**{**row, "details": json.loads(row["details"])}) for row in rows]


def prune_denied_requests(engine: sql.Engine, before: datetime) -> int:
    """Delete the denied requests from before an instant; returns how many rows. What people did stays."""
    with engine.begin() as connection:
        is_old = (AUDIT_LOG.c.action == DENIED) & (AUDIT_LOG.c.at < before)
        return connection.execute(AUDIT_LOG.delete().where(is_old)).rowcount


class DeniedRequests:
    """Counts denied requests by actor, reason and path, so that a flood of them makes one row, not a million."""

    def __init__(self) -> None:
        self._counts: Counter[Denial] = Counter()
        self._lock = threading.Lock()

    def add(self, denial: Denial) -> None:
        """Count one."""
        with self._lock:
            is_counted = denial in self._counts or len(self._counts) < MAX_DISTINCT_DENIALS
            self._counts[denial if is_counted else Denial("", "many", "")] += 1

    def flush(self, engine: sql.Engine, at: datetime) -> None:
        """Record the counts since the last flush. If the database does not take them, they stay counted."""
        with self._lock:
            counts, self._counts = self._counts, Counter()
        if not counts:
            return
        try:
            with engine.begin() as connection:
                connection.execute(AUDIT_LOG.insert(), [_to_row(denial, n, at) for denial, n in counts.items()])
        except DBAPIError:
            with self._lock:
                self._counts += counts
            raise


def _to_row(denial: Denial, count: int, at: datetime) -> dict[str, object]:
    details = json.dumps({"reason": denial.reason, "times": count})
    return {"at": at, "actor": denial.actor, "action": DENIED, "subject": denial.path, "details": details}
