"""Webhooks: sends queued events to their endpoints, signed, and retries with back-off until they are dead letters.

Headers and signature follow Standard Webhooks (standardwebhooks.com), for which receivers have libraries. A receiver
may get an event twice and can recognise it by its id.
"""

import base64
import binascii
import os
from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

import httpx
import sqlalchemy as sql
from standardwebhooks import Webhook
from tenacity import RetryCallState, Retrying, wait_exponential

from configs.errors import ConfigError
from configs.sections.monitoring import EndpointSettings, WebhookSettings
from serving.ledger.schema import WEBHOOK_DELIVERIES

BACKOFF = wait_exponential(multiplier=30, max=6 * 60 * 60)
# While one sender tries a delivery, others leave it alone for this long.
CLAIM_TIMEOUT = timedelta(minutes=2)
TIMEOUT_SECONDS = 10.0
HTTP_GONE = 410
MIN_SECRET_BYTES = 24


class Delivery(NamedTuple):
    """An event on its way to one endpoint."""

    id: str
    endpoint: str
    body: str
    attempts: int


class Attempt(NamedTuple):
    """The result of sending a delivery: why it failed ("" if it did not), and whether the endpoint is gone for good."""

    error: str
    is_gone: bool = False


def send_due_deliveries(engine: sql.Engine, settings: WebhookSettings, clock: Callable[[], datetime]) -> Counter[str]:
    """Send every delivery that is due; returns how many are sent, pending (to be retried) or dead."""
    signers = {name: signer_for(endpoint) for name, endpoint in settings.endpoints.items()}
    statuses: Counter[str] = Counter()
    with httpx.Client(timeout=TIMEOUT_SECONDS, follow_redirects=False) as client:
        while delivery := _claim_due(engine, list(signers), clock()):
            url, signer = settings.endpoints[delivery.endpoint].url, signers[delivery.endpoint]
            attempt = _post(client, url, signed_headers(signer, delivery, clock()), delivery.body)
            status = _next_status(delivery, attempt, settings.max_attempts)
            _store_attempt(engine, delivery, status, attempt.error, clock())
            statuses[status] += 1
    return statuses


def requeue_deliveries(engine: sql.Engine, at: datetime, delivery_id: str = "") -> int:
    """Put all dead letters, or one delivery of any status, back into the queue; returns how many."""
    chosen = WEBHOOK_DELIVERIES.c.id == delivery_id if delivery_id else WEBHOOK_DELIVERIES.c.status == "dead"
    requeued = WEBHOOK_DELIVERIES.update().where(chosen)
    with engine.begin() as connection:
        values = {"status": "pending", "attempts": 0, "next_attempt_at": at, "error": ""}
        return connection.execute(requeued.values(values)).rowcount


def count_deliveries(engine: sql.Engine) -> dict[tuple[str, str], int]:
    """The number of deliveries by endpoint and status."""
    columns = WEBHOOK_DELIVERIES.c.endpoint, WEBHOOK_DELIVERIES.c.status
    query = sql.select(*columns, sql.func.count()).group_by(*columns)
    with engine.connect() as connection:
        return {(endpoint, status): count for endpoint, status, count in connection.execute(query)}


def signer_for(endpoint: EndpointSettings) -> Webhook:
    """Signs with the secret in the environment. Raises ConfigError if it is missing, too short or not base64."""
    secret = os.environ.get(endpoint.secret_env, "").removeprefix("whsec_")
    try:
        is_long_enough = len(base64.b64decode(secret, validate=True)) >= MIN_SECRET_BYTES
    except binascii.Error:
        is_long_enough = False
    if not is_long_enough:
        message = f"{endpoint.secret_env} in the environment holds no secret to sign with."
        raise ConfigError(message, 'Create one: echo "whsec_$(openssl rand -base64 32)".')
    return Webhook(secret)


def signed_headers(signer: Webhook, delivery: Delivery, at: datetime) -> dict[str, str]:
    """The headers of one message."""
    timestamp = at.replace(tzinfo=UTC)
    return {
        "content-type": "application/json",
        "webhook-id": delivery.id,
        "webhook-timestamp": str(int(timestamp.timestamp())),
        "webhook-signature": signer.sign(delivery.id, timestamp, delivery.body),
    }


def wait_after(attempts: int) -> timedelta:
    """How long until the next attempt: twice as long each time, up to six hours."""
    state = RetryCallState(Retrying(), fn=None, args=(), kwargs={})
    state.attempt_number = attempts
    return timedelta(seconds=BACKOFF(state))


def _claim_due(engine: sql.Engine, endpoints: list[str], at: datetime) -> Delivery | None:
    """A delivery that is due, claimed for this sender alone."""
    columns = WEBHOOK_DELIVERIES.c
    is_due = columns.status == "pending", columns.next_attempt_at <= at, columns.endpoint.in_(endpoints)
    query = sql.select(*(columns[name] for name in Delivery._fields)).where(*is_due)
    query = query.order_by(columns.next_attempt_at, columns.created_at).limit(1)
    while True:
        with engine.begin() as connection:
            row = connection.execute(query).one_or_none()
            if row is None:
                return None
            delivery = Delivery(*row)
            claim = WEBHOOK_DELIVERIES.update().where(columns.id == delivery.id, *is_due)
            if connection.execute(claim.values(next_attempt_at=at + CLAIM_TIMEOUT)).rowcount:
                return delivery


def _post(client: httpx.Client, url: str, headers: dict[str, str], body: str) -> Attempt:
    try:
        response = client.post(url, content=body.encode(), headers=headers)
    except httpx.HTTPError as error:
        return Attempt(type(error).__name__)
    error = "" if response.is_success else f"HTTP {response.status_code}"
    return Attempt(error, response.status_code == HTTP_GONE)


def _next_status(delivery: Delivery, attempt: Attempt, max_attempts: int) -> str:
    if not attempt.error:
        return "sent"
    return "dead" if attempt.is_gone or delivery.attempts + 1 >= max_attempts else "pending"


def _store_attempt(engine: sql.Engine, delivery: Delivery, status: str, error: str, at: datetime) -> None:
    attempts = delivery.attempts + 1
    values = {"status": status, "attempts": attempts, "error": error, "next_attempt_at": at + wait_after(attempts)}
    with engine.begin() as connection:
        connection.execute(WEBHOOK_DELIVERIES.update().where(WEBHOOK_DELIVERIES.c.id == delivery.id).values(values))
