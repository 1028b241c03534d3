"""Telling: events found in the ledger day by day and put in the queue of every endpoint, each day whole or not."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict
from datetime import datetime
from typing import Any

import sqlalchemy as sql

from configs.settings import Settings
from features.store.account_table import AccountFacts
from monitoring.alerts.rules import (
    AlertEvent,
    AlertState,
    Observation,
    PublishedFamilies,
    apply_budget,
    next_state,
    stale_events,
)
from serving.ledger.database import upsert
from serving.ledger.schema import ALERT_STATES, RISKS, WEBHOOK_DELIVERIES

FIRST_DAYS = 2
Facts = Mapping[str, AccountFacts]


def enqueue_risk_events(engine: sql.Engine, settings: Settings, facts: Facts, at: datetime) -> int:
    """Decide on every day in the ledger that was not looked at yet, oldest first; says how many events were queued."""
    return sum(_day(engine, settings, facts, day, at) for day in _days(engine))


def enqueue_stale_events(engine: sql.Engine, settings: Settings, published: PublishedFamilies, at: datetime) -> int:
    """Queue which families of the published signals are too old, once for each published day."""
    events = [("", one, "pending") for one in stale_events(published, settings.serving, at)]
    with engine.begin() as connection:
        return _queue(connection, engine, settings, events, at)


def _days(engine: sql.Engine) -> list[datetime]:
    with engine.connect() as connection:
        newest = connection.execute(sql.select(sql.func.max(ALERT_STATES.c.as_of))).scalar()
        days = sql.select(RISKS.c.as_of).distinct().order_by(RISKS.c.as_of)
        found = list(connection.execute(days.where(RISKS.c.as_of > newest) if newest else days).scalars())
    return found if newest else found[-FIRST_DAYS:]


def _day(engine: sql.Engine, settings: Settings, facts: Facts, day: datetime, at: datetime) -> int:
    last = sql.select(sql.func.max(RISKS.c.id)).where(RISKS.c.as_of == day).group_by(RISKS.c.account_id)
    rows = sql.select(RISKS.c.account_id, RISKS.c.risk, RISKS.c.mrr, RISKS.c.served).where(RISKS.c.id.in_(last))
    known, found = [], []
    with engine.begin() as connection:
        before = {row.account_id: _read(row.state) for row in connection.execute(sql.select(ALERT_STATES))}
        for row in connection.execute(rows):
            about = facts.get(row.account_id)
            watched, events = next_state(
                before.get(row.account_id), _seen(row, day, about), settings.webhooks, settings.bands
            )
            known.append({"account_id": row.account_id, "as_of": day, "state": _written(watched)})
            at_stake = row.risk * (row.mrr or 0.0)
            found += [(about.owner if about else None, at_stake, (row.account_id, one)) for one in events]
        told, beyond = apply_budget(found, settings.webhooks.budget_per_owner)
        if known:
            given = upsert(ALERT_STATES, engine)
            changed = {"as_of": given.excluded.as_of, "state": given.excluded.state}
            connection.execute(
                given.on_conflict_do_update(index_elements=[ALERT_STATES.c.account_id], set_=changed), known
            )
        queued = [(*one, "pending") for one in told] + [(*one, "suppressed") for one in beyond]
        return _queue(connection, engine, settings, queued, at)


def _queue(
    connection: sql.Connection,
    engine: sql.Engine,
    settings: Settings,
    events: list[tuple[str, AlertEvent, str]],
    at: datetime,
) -> int:
    rows = [
        _delivery(endpoint, account_id, event, {"status": status, "next_at": at, "made_at": at})
        for endpoint in settings.webhooks.endpoints
        for account_id, event, status in events
    ]
    if not rows:
        return 0
    connection.execute(upsert(WEBHOOK_DELIVERIES, engine).on_conflict_do_nothing(), rows)
    return sum(row["status"] == "pending" for row in rows)


def _delivery(endpoint: str, account_id: str, event: AlertEvent, more: Mapping[str, Any]) -> dict[str, Any]:
    # The same event found again, after a killed run, has the same id.
    told = f"{account_id} {event.kind} {event.subject} {event.current['as_of']}"
    body = {"type": event.kind, "account_id": account_id or None, "previous": event.previous, "current": event.current}
    return {
        "id": hashlib.sha256(f"{endpoint} {told}".encode()).hexdigest()[:32],
        "endpoint": endpoint,
        "account_id": account_id or None,
        "kind": event.kind,
        "body": json.dumps({**body, "causal": False}, default=datetime.isoformat),
        "attempts": 0,
        "error": "",
        **more,
    }


def _seen(row: Any, day: datetime, about: AccountFacts | None) -> Observation:
    points = {one["family"]: one["points"] for one in json.loads(row.served).get("drivers", [])}
    return Observation(day, row.risk, points, about.renews_at if about else None)


def _written(watched: AlertState) -> str:
    return json.dumps({**asdict(watched), "drivers": sorted(watched.drivers)}, default=datetime.isoformat)


def _read(text: str) -> AlertState:
    kept = json.loads(text)
    told = {key: datetime.fromisoformat(at) for key, at in kept["told"].items()}
    as_of, drivers = datetime.fromisoformat(kept["as_of"]), frozenset(kept["drivers"])
    return AlertState(**{**kept, "as_of": as_of, "drivers": drivers, "told": told})
