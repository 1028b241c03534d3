"""Webhooks: queued events sent to their endpoints, signed, and tried again later and later until they are dead letters.

Headers and signature are those of Standard Webhooks (standardwebhooks.com), which receivers have libraries for: HMAC
with SHA-256 over id, timestamp and body. A receiver may get an event twice and knows it by its id.
"""

import base64
import binascii
import hashlib
import hmac
import os
from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import sqlalchemy as sql

from configs.errors import ConfigError
from configs.settings import EndpointSettings, WebhookSettings
from serving.ledger.schema import WEBHOOK_DELIVERIES

FIRST_WAIT = timedelta(seconds=30)
LONGEST_WAIT = timedelta(hours=6)
# While one sender tries a delivery another leaves it alone.
HELD = timedelta(minutes=2)
PATIENCE_SECONDS = 10.0
GONE = 410


def send_due_deliveries(engine: sql.Engine, settings: WebhookSettings, clock: Callable[[], datetime]) -> Counter[str]:
    """Send every delivery that is due, and say how many were sent, will be tried again, or are dead."""
    secrets = {name: secret_of(endpoint) for name, endpoint in settings.endpoints.items()}
    ended: Counter[str] = Counter()
    with httpx.Client(timeout=PATIENCE_SECONDS, follow_redirects=False) as client:
        while row := _take(engine, list(secrets), clock()):
            error, gone = _post(client, settings.endpoints[row["endpoint"]].url, secrets[row["endpoint"]], row, clock())
            ended[_end(engine, row, settings.max_attempts, clock(), (error, gone))] += 1
    return ended


def requeue_deliveries(engine: sql.Engine, at: datetime, identity: str = "") -> int:
    """Put dead letters, or one delivery whatever became of it, back in the queue; says how many."""
    chosen = WEBHOOK_DELIVERIES.c.id == identity if identity else WEBHOOK_DELIVERIES.c.status == "dead"
    with engine.begin() as connection:
        again = WEBHOOK_DELIVERIES.update().where(chosen).values(status="pending", attempts=0, next_at=at, error="")
        return connection.execute(again).rowcount


def count_deliveries(engine: sql.Engine) -> dict[tuple[str, str], int]:
    """How many deliveries there are by endpoint and status."""
    counted = sql.select(WEBHOOK_DELIVERIES.c.endpoint, WEBHOOK_DELIVERIES.c.status, sql.func.count()).group_by(
        "endpoint", "status"
    )
    with engine.connect() as connection:
        return {(endpoint, status): count for endpoint, status, count in connection.execute(counted)}


def secret_of(endpoint: EndpointSettings) -> bytes:
    """The secret in the environment. Raises ConfigError where it is missing or not base64 with its prefix whsec_."""
    said = os.environ.get(endpoint.secret_env, "")
    try:
        secret = base64.b64decode(said.removeprefix("whsec_"), validate=True)
    except binascii.Error:
        secret = b""
    if len(secret) < 24:
        message = f"{endpoint.secret_env} in the environment holds no secret to sign with."
        raise ConfigError(message, 'Make one: echo "whsec_$(openssl rand -base64 32)".')
    return secret


def sign(secret: bytes, identity: str, timestamp: int, body: str) -> str:
    """The signature of one message."""
    signed = hmac.new(secret, f"{identity}.{timestamp}.{body}".encode(), hashlib.sha256).digest()
    return f"v1,{base64.b64encode(signed).decode()}"


def wait_after(attempts: int) -> timedelta:
    """How long until the next try: twice as long each time, up to six hours."""
    return min(FIRST_WAIT * 2 ** (attempts - 1), LONGEST_WAIT)


def _take(engine: sql.Engine, endpoints: list[str], at: datetime) -> dict[str, Any] | None:
    """A delivery that is due, held for this sender alone."""
    mine = (
        WEBHOOK_DELIVERIES.c.status == "pending",
        WEBHOOK_DELIVERIES.c.next_at <= at,
        WEBHOOK_DELIVERIES.c.endpoint.in_(endpoints),
    )
    while True:
        with engine.begin() as connection:
            due = (
                sql.select(WEBHOOK_DELIVERIES)
                .where(*mine)
                .order_by(WEBHOOK_DELIVERIES.c.next_at, WEBHOOK_DELIVERIES.c.made_at)
                .limit(1)
            )
            row = connection.execute(due).mappings().one_or_none()
            if row is None:
                return None
            held = (
                WEBHOOK_DELIVERIES.update().where(WEBHOOK_DELIVERIES.c.id == row["id"], *mine).values(next_at=at + HELD)
            )
            if connection.execute(held).rowcount:
                return dict(row)


def _post(client: httpx.Client, url: str, secret: bytes, row: dict[str, Any], at: datetime) -> tuple[str, bool]:
    """Why it did not arrive (nothing where it did), and whether the endpoint is gone for good."""
    timestamp = int(at.replace(tzinfo=UTC).timestamp())
    headers = {
        "content-type": "application/json",
        "webhook-id": row["id"],
        "webhook-timestamp": str(timestamp),
        "webhook-signature": sign(secret, row["id"], timestamp, row["body"]),
    }
    try:
        reply = client.post(url, content=row["body"].encode(), headers=headers)
    except httpx.HTTPError as problem:
        return type(problem).__name__, False
    return ("" if reply.is_success else f"HTTP {reply.status_code}"), reply.status_code == GONE


def _end(engine: sql.Engine, row: dict[str, Any], most: int, at: datetime, said: tuple[str, bool]) -> str:
    (error, gone), attempts = said, row["attempts"] + 1
    status = "sent" if not error else "dead" if gone or attempts >= most else "pending"
    values = {"status": status, "attempts": attempts, "error": error, "next_at": at + wait_after(attempts)}
    with engine.begin() as connection:
        connection.execute(WEBHOOK_DELIVERIES.update().where(WEBHOOK_DELIVERIES.c.id == row["id"]).values(**values))
    return status
