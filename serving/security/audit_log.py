"""The audit: who made and revoked keys, promoted, overrode, erased, and what was denied; added to, never changed."""

import json
import threading
from collections import Counter
from datetime import datetime
from typing import Any

import sqlalchemy as sql
from sqlalchemy.exc import DBAPIError

from serving.ledger.schema import AUDIT_LOG

MAX_DISTINCT_DENIALS = 1_000


def append_audit_event(
    engine: sql.Engine, at: datetime, actor: str, action: str, *, subject: str = "", **detail: Any
) -> None:
    """Add what someone did, and to what; a detail that is empty is left out."""
    told = json.dumps({name: value for name, value in detail.items() if value not in ("", None)})
    row = {"at": at, "actor": actor[:100], "action": action, "subject": subject[:200], "detail": told}
    with engine.begin() as connection:
        connection.execute(AUDIT_LOG.insert().values(row))


def read_audit_events(engine: sql.Engine, since: datetime | None = None, action: str = "") -> list[dict[str, Any]]:
    """What was recorded, oldest first."""
    chosen = sql.select(
        AUDIT_LOG.c.at, AUDIT_LOG.c.actor, AUDIT_LOG.c.action, AUDIT_LOG.c.subject, AUDIT_LOG.c.detail
    ).order_by(AUDIT_LOG.c.id)
    chosen = chosen.where(AUDIT_LOG.c.at >= since) if since else chosen
    chosen = chosen.where(AUDIT_LOG.c.action == action) if action else chosen
    with engine.connect() as connection:
        rows = connection.execute(chosen).mappings()
        return [{**row, "detail": json.loads(row["detail"])} for row in rows]


class DeniedRequests:
    """Requests that were denied, counted by who and why between two writings: a flood makes one row, not a million."""

    def __init__(self) -> None:
        self._counts: Counter[tuple[str, str, str]] = Counter()
        self._counting = threading.Lock()

    def add(self, actor: str, reason: str, path: str) -> None:
        """Count one."""
        kind = (actor, reason, path)
        with self._counting:
            self._counts[
                kind if kind in self._counts or len(self._counts) < MAX_DISTINCT_DENIALS else ("", "many", "")
            ] += 1

    def flush(self, engine: sql.Engine, at: datetime) -> None:
        """Add what was counted since the last writing; it stays counted where the database does not take it."""
        with self._counting:
            counts, self._counts = self._counts, Counter()
        rows = [
            {
                "at": at,
                "actor": who,
                "action": "denied",
                "subject": path,
                "detail": json.dumps({"reason": why, "times": n}),
            }
            for (who, why, path), n in counts.items()
        ]
        try:
            with engine.begin() as connection:
                connection.execute(AUDIT_LOG.insert(), rows) if rows else None
        except DBAPIError:
            with self._counting:
                self._counts += counts
            raise
