"""Rate limits over several machines: each writes every few seconds what it counted, and reads what the others did.

A request waits for none of this. So a key may send more than its limit by what other machines let through since the
last exchange. While the database is down each machine keeps to the limit by itself.
"""

import hashlib
import socket
from collections.abc import Sequence
from pathlib import Path

import sqlalchemy as sql

from serving.ledger.database import upsert
from serving.ledger.schema import REQUEST_COUNTS
from serving.security.rate_limits import WINDOW_SECONDS, KeyCount, RateLimits


def machine_id(state_folder: Path) -> str:
    """What tells this machine from the others that answer for the same state; the same for all of its workers."""
    return hashlib.sha256(f"{socket.gethostname()} {state_folder}".encode()).hexdigest()[:32]


def exchange_counts(engine: sql.Engine, machine: str, limits: RateLimits, now: float) -> None:
    """Write what this machine counted in this minute and the one before, and take over what the others did."""
    minute = int(now // WINDOW_SECONDS)
    with engine.begin() as connection:
        _write_counts(connection, engine, machine, limits.counts_since(minute - 1))
        connection.execute(REQUEST_COUNTS.delete().where(REQUEST_COUNTS.c.minute < minute - 1))
        total = sql.func.sum(REQUEST_COUNTS.c.requests)
        others = sql.select(REQUEST_COUNTS.c.key_id, REQUEST_COUNTS.c.minute, total)
        others = others.where(REQUEST_COUNTS.c.machine != machine, REQUEST_COUNTS.c.minute >= minute - 1)
        rows = connection.execute(others.group_by(REQUEST_COUNTS.c.key_id, REQUEST_COUNTS.c.minute)).all()
    limits.add_others([KeyCount(key_id, at, int(requests)) for key_id, at, requests in rows])


def _write_counts(connection: sql.Connection, engine: sql.Engine, machine: str, counts: Sequence[KeyCount]) -> None:
    if not counts:
        return
    # In one order, so that two workers of a machine never wait for each other.
    rows = [{"machine": machine, **count._asdict()} for count in sorted(counts)]
    insert = upsert(REQUEST_COUNTS, engine)
    key = ["machine", "key_id", "minute"]
    connection.execute(
        insert.on_conflict_do_update(index_elements=key, set_={"requests": insert.excluded.requests}), rows
    )
