"""The outbox: events found in the ledger day by day and queued for every endpoint, each day in one transaction."""

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import NamedTuple

import sqlalchemy as sql
from pydantic import TypeAdapter

from configs.clock import format_instant
from configs.settings import Settings
from features.store.account_table import AccountDetails
from monitoring.alerts.rules import (
    AlertEvent,
    AlertState,
    Observation,
    PublishedFamilies,
    apply_budget,
    next_state,
    stale_events,
)
from monitoring.alerts.verdict_changes import verdict_events
from serving.accounts.playbook import ContactLimits, Playbook, read_playbook, suggest_play
from serving.ledger.database import upsert
from serving.ledger.ledger import is_served
from serving.ledger.monitor_runs import RunStore
from serving.ledger.schema import ALERT_STATES, RISKS, WEBHOOK_DELIVERIES
from serving.schemas.responses import Score
from serving.scoring.driver_text import find_main_driver

FIRST_DAYS = 2  # days of a ledger that are looked at when webhooks are first sent
VERDICT_DAYS = 7  # how old a change of the verdict may be
STATE_JSON = TypeAdapter(AlertState)


@dataclass(frozen=True)
class KnownAccounts:
    """What events say of accounts besides their risks: their details, and the marks that people set."""

    details: Mapping[str, AccountDetails] = field(default_factory=dict[str, AccountDetails])
    marks: Mapping[str, str] = field(default_factory=dict[str, str])


class QueuedEvent(NamedTuple):
    """An event of an account ("" for none) and what is said of the account; pending or suppressed."""

    account_id: str
    event: AlertEvent
    account: Mapping[str, object] = {}
    status: str = "pending"


class RiskRow(NamedTuple):
    """The last risk of an account on a day, from the ledger."""

    account_id: str
    risk: float
    mrr: float | None
    currency: str | None
    score: str


def enqueue_risk_events(engine: sql.Engine, settings: Settings, accounts: KnownAccounts, at: datetime) -> int:
    """Queue the events of every day that was served and not processed yet, oldest first; returns how many.

    Raises ConfigError for a playbook that cannot be read.
    """
    outbox, playbook = Outbox(engine, settings, at), read_playbook(settings.playbook)
    return sum(outbox.enqueue_day(day, accounts, playbook) for day in _unprocessed_days(engine))


def enqueue_stale_events(engine: sql.Engine, settings: Settings, published: PublishedFamilies, at: datetime) -> int:
    """Queue which families of the published signals are too old, once for each published day; returns how many."""
    outbox = Outbox(engine, settings, at)
    events = [QueuedEvent("", event) for event in stale_events(published, settings.serving, at)]
    with engine.begin() as connection:
        return outbox.enqueue(connection, events)


def enqueue_verdict_events(engine: sql.Engine, settings: Settings, at: datetime) -> int:
    """Queue every change of the verdict of `oarlock monitor` in the last days, each once; returns how many."""
    outbox = Outbox(engine, settings, at)
    before, runs = RunStore(engine).started_since(at - timedelta(days=VERDICT_DAYS))
    with engine.begin() as connection:
        return outbox.enqueue(connection, [QueuedEvent("", event) for event in verdict_events(before, runs)])


@dataclass(frozen=True)
class Outbox:
    """The queue of a company's endpoints at an instant."""

    engine: sql.Engine
    settings: Settings
    at: datetime

    def enqueue_day(self, day: datetime, accounts: KnownAccounts, playbook: Playbook) -> int:
        """Queue the events of one day and store the new states; returns how many events are pending."""
        states: list[dict[str, object]] = []
        owned: list[tuple[str | None, float, QueuedEvent]] = []
        with self.engine.begin() as connection:
            before = _read_states(connection)
            for row in _read_risks(connection, day):
                account = accounts.details.get(row.account_id)
                state, events = next_state(
                    before.get(row.account_id),
                    _observe(row, day, account),
                    self.settings.webhooks,
                    self.settings.bands,
                )
                states.append(
                    {"account_id": row.account_id, "as_of": day, "state": STATE_JSON.dump_json(state).decode()}
                )
                owner, revenue_at_risk = account.owner if account else None, row.risk * (row.mrr or 0.0)
                described = _describe_account(row, accounts, playbook, self.settings) if events else {}
                owned += [(owner, revenue_at_risk, QueuedEvent(row.account_id, event, described)) for event in events]
            self._store_states(connection, states)
            within, over = apply_budget(owned, self.settings.webhooks.budget_per_owner)
            return self.enqueue(connection, [*within, *(event._replace(status="suppressed") for event in over)])

    def enqueue(self, connection: sql.Connection, events: Iterable[QueuedEvent]) -> int:
        """Queue events for every endpoint; returns how many deliveries are pending that were not queued before."""
        endpoints = self.settings.webhooks.endpoints
        rows = [self._delivery(endpoint, event) for event in events for endpoint in endpoints]
        if not rows:
            return 0
        insert = upsert(WEBHOOK_DELIVERIES, self.engine).on_conflict_do_nothing()
        added = connection.execute(insert.returning(WEBHOOK_DELIVERIES.c.status), rows).scalars()
        return sum(status == "pending" for status in added)

    def _store_states(self, connection: sql.Connection, states: list[dict[str, object]]) -> None:
        if not states:
            return
        insert = upsert(ALERT_STATES, self.engine)
        changed = {"as_of": insert.excluded.as_of, "state": insert.excluded.state}
        connection.execute(
            insert.on_conflict_do_update(index_elements=[ALERT_STATES.c.account_id], set_=changed), states
        )

    def _delivery(self, endpoint: str, queued: QueuedEvent) -> dict[str, object]:
        account_id, event, account, status = queued
        # The same event has the same id when it is found again after a killed run.
        identity = f"{endpoint} {account_id} {event.key} {event.current['as_of']}"
        return {
            "id": hashlib.sha256(identity.encode()).hexdigest()[:32],
            "endpoint": endpoint,
            "account_id": account_id or None,
            "event_type": event.event_type,
            "body": _encode_body(event, account, self.at),
            "status": status,
            "attempts": 0,
            "next_attempt_at": self.at,
            "created_at": self.at,
            "error": "",
        }


def _unprocessed_days(engine: sql.Engine) -> list[datetime]:
    days = sql.select(RISKS.c.as_of).distinct().where(is_served()).order_by(RISKS.c.as_of)
    with engine.connect() as connection:
        newest = connection.execute(sql.select(sql.func.max(ALERT_STATES.c.as_of))).scalar()
        if newest:
            return list(connection.execute(days.where(RISKS.c.as_of > newest)).scalars())
        return list(connection.execute(days).scalars())[-FIRST_DAYS:]


def _read_risks(connection: sql.Connection, day: datetime) -> Iterable[RiskRow]:
    of_day = is_served(), RISKS.c.as_of == day
    last = sql.select(sql.func.max(RISKS.c.id)).where(*of_day).group_by(RISKS.c.account_id)
    query = sql.select(*(RISKS.c[name] for name in RiskRow._fields)).where(RISKS.c.id.in_(last))
    return (RiskRow(*row) for row in connection.execute(query))


def _read_states(connection: sql.Connection) -> dict[str, AlertState]:
    rows = connection.execute(sql.select(ALERT_STATES.c.account_id, ALERT_STATES.c.state))
    return {account_id: STATE_JSON.validate_json(text) for account_id, text in rows}


def _observe(row: RiskRow, day: datetime, account: AccountDetails | None) -> Observation:
    points = {driver["family"]: driver["points"] for driver in json.loads(row.score).get("drivers", [])}
    return Observation(day, row.risk, points, account.renews_at if account else None)


def _describe_account(
    row: RiskRow, accounts: KnownAccounts, playbook: Playbook, settings: Settings
) -> dict[str, object]:
    """Who the account is, what it pays, and what to do about its main driver."""
    score: Score = json.loads(row.score)
    details = accounts.details.get(row.account_id, AccountDetails(row.account_id))
    limits = ContactLimits(settings.work_list.touched_within_days, accounts.marks.get(row.account_id))
    driver = find_main_driver(score.get("drivers", []))
    return {
        "account_id": row.account_id,
        "name": details.name,
        "owner": details.owner,
        "mrr": row.mrr,
        "revenue_at_risk": None if row.mrr is None else round(row.risk * row.mrr, 2),
        "currency": row.currency,
        "main_driver": driver["text"] if driver else None,
        "play": suggest_play(playbook, score, details, limits) if driver else None,
    }


def _encode_body(event: AlertEvent, account: Mapping[str, object], at: datetime) -> str:
    """The body as Standard Webhooks defines it: `type`, `timestamp` and `data`."""
    data = {**account, "previous": event.previous, "current": event.current, "causal": False}
    body = {"type": event.event_type, "timestamp": format_instant(at), "data": data}
    return json.dumps(body, default=format_instant)
