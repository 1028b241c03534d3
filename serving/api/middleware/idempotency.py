"""Answers a POST that is repeated with the same `Idempotency-Key` with the response it had before.

A key belongs to its client. The same key with another request is refused, and so is one whose request is still being
answered. Responses are kept for a day, and as many as fit in a number of bytes: the oldest go first. Responses that ask
to try again later (5xx, 429) are not kept, nor is a request that was cut off. What says that something was saved is
kept in the transaction that saves it.
"""

import asyncio
import hashlib
import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta

import sqlalchemy as sql
from sqlalchemy.exc import DBAPIError, IntegrityError
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from configs.errors import DatabaseDown, OarlockError, Overloaded, RequestError
from serving.api.bodies import read_bytes
from serving.api.errors import CLIENT_CLOSED, error_response
from serving.ledger.schema import IDEMPOTENT_RESPONSES as STORED
from serving.load.thread_pools import ThreadPool
from serving.schemas.serialization import to_json

HEADER, REPLAYED_HEADER = b"idempotency-key", b"idempotency-replayed"
RETENTION = timedelta(days=1)
MAX_BYTES = 256_000_000
# Longer than any request takes: after it, a key that a dead process held is free again.
LOCK_TIMEOUT = timedelta(minutes=1)
STORE_SECONDS = 2.0
MAX_KEY_LENGTH = 200
IS_UNANSWERED = STORED.c.status.is_(None)
LOG = logging.getLogger("oarlock.api")


@dataclass(frozen=True)
class StoredResponse:
    """The response to a request."""

    status: int
    content_type: str
    body: bytes


@dataclass(frozen=True)
class KeyedRequest:
    """A request with its idempotency key: who sent it (the id of the API key), the key, and the request's hash."""

    key_id: str
    idempotency_key: str
    request_hash: str

    @property
    def rows(self) -> sql.ColumnElement[bool]:
        """The row of the client's key."""
        return (STORED.c.key_id == self.key_id) & (STORED.c.idempotency_key == self.idempotency_key)

    def keep(self, connection: sql.Connection, content: object) -> None:
        """Keep the JSON of a response in a transaction. Raises RequestError (409) if the key was taken over."""
        response = StoredResponse(200, "application/json", to_json(content))
        change = STORED.update().where(self.rows, IS_UNANSWERED).values(**vars(response))
        if not connection.execute(change).rowcount:
            raise _in_use()


@dataclass
class IdempotencyStore:
    """The responses in the database that `engine` opens."""

    engine: Callable[[], sql.Engine]
    clock: Callable[[], datetime]
    retention: timedelta = RETENTION
    max_bytes: int = MAX_BYTES
    _unpruned_bytes: int = 0

    def begin(self, request: KeyedRequest) -> StoredResponse | None:
        """The response the same request had before; None if the caller, and nobody else, is to answer it now.

        Raises RequestError (409) if the key was used for another request, or is in use.
        """
        now = self.clock()
        is_abandoned = IS_UNANSWERED & (STORED.c.created_at < now - LOCK_TIMEOUT)
        is_expired = (STORED.c.created_at < now - self.retention) | is_abandoned
        try:
            with self.engine().begin() as connection:
                connection.execute(STORED.delete().where(request.rows, is_expired))
                connection.execute(STORED.insert().values(**vars(request), created_at=now))
        except IntegrityError:
            return self._read(request)
        return None

    def end(self, request: KeyedRequest, response: StoredResponse | None) -> None:
        """Keep the response, or free the key if there is none to keep."""
        change = STORED.update().values(**vars(response)) if response else STORED.delete().where(IS_UNANSWERED)
        with self.engine().begin() as connection:
            connection.execute(change.where(request.rows))
        self._unpruned_bytes += len(response.body) if response else 0
        if self._unpruned_bytes > self.max_bytes // 10:
            self.prune()

    def prune(self) -> int:
        """Delete the responses that are too old, and the oldest of those that are too many; returns how many."""
        self._unpruned_bytes = 0
        with self.engine().begin() as connection:
            expired = connection.execute(STORED.delete().where(STORED.c.created_at < self.clock() - self.retention))
            return expired.rowcount + connection.execute(self._delete_oldest()).rowcount

    def _delete_oldest(self) -> sql.Delete:
        """Delete the responses that, with all newer ones, take more than `max_bytes`."""
        key = STORED.c.key_id, STORED.c.idempotency_key
        newest_first = STORED.c.created_at.desc(), *key
        total = sql.func.sum(sql.func.length(STORED.c.body)).over(order_by=newest_first).label("total")
        totals = sql.select(*key, total).where(STORED.c.status.is_not(None)).subquery()
        too_many = sql.select(totals.c.key_id, totals.c.idempotency_key).where(totals.c.total > self.max_bytes)
        return STORED.delete().where(sql.tuple_(*key).in_(too_many))

    def _read(self, request: KeyedRequest) -> StoredResponse:
        with self.engine().connect() as connection:
            row = connection.execute(sql.select(STORED).where(request.rows)).mappings().one_or_none()
        if row and row["request_hash"] != request.request_hash:
            message = "This idempotency key was used for another request."
            raise RequestError(message, "Use a new key for a new request.", code="idempotency_conflict", status=409)
        if row is None or row["status"] is None:
            raise _in_use()
        return StoredResponse(row["status"], row["content_type"], row["body"])


class IdempotencyMiddleware:
    """The ASGI middleware for requests with the header; the functions give this process's store and its threads."""

    def __init__(
        self,
        app: ASGIApp,
        store: Callable[[], IdempotencyStore],
        pool: Callable[[], ThreadPool],
        max_body_bytes: Callable[[], int],
    ) -> None:
        self.app, self.store, self.pool, self.max_body_bytes = app, store, pool, max_body_bytes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Replay a stored response, or pass the request on and store its response."""
        key = dict(scope["headers"]).get(HEADER) if scope["type"] == "http" else None
        if key is None or scope["method"] != "POST":
            await self.app(scope, receive, send)
            return
        try:
            await self._answer(key.decode("latin-1"), scope, receive, send)
        except OarlockError as error:
            await error_response(error)(scope, receive, send)

    async def _answer(self, key: str, scope: Scope, receive: Receive, send: Send) -> None:
        if not 0 < len(key) <= MAX_KEY_LENGTH:
            message = f"The idempotency key has {len(key)} characters."
            raise RequestError(message, f"Send 1 to {MAX_KEY_LENGTH}.", code="invalid", status=422)
        body = await read_bytes(receive, self.max_body_bytes())
        request = KeyedRequest(scope.get("oarlock.key", ""), key, _hash(scope, body))
        store, pool = self.store(), self.pool()
        with _database_errors():
            stored = await pool.run(1, store.begin, request)
        if stored:
            await _send_stored(send, stored)
            return
        if reply := scope.get("oarlock.reply"):
            reply.keep = request.keep
        recorder, response = _Recorder(send), None
        try:
            await self.app(scope, _replay_body(body, receive), recorder.record)
            response = recorder.response
        finally:
            # The work is done and recorded, so its response is given even if it cannot be kept for a repetition.
            try:
                await asyncio.wait_for(pool.run(1, store.end, request, response), STORE_SECONDS)
            except (DBAPIError, Overloaded, TimeoutError) as error:
                LOG.warning("the response to an idempotency key is not kept: %s", error)
        await recorder.forward()


class _Recorder:
    """Holds a response back until it is stored."""

    def __init__(self, send: Send) -> None:
        self._send, self._messages = send, list[Message]()

    async def record(self, message: Message) -> None:
        self._messages.append(message)

    async def forward(self) -> None:
        for message in self._messages:
            await self._send(message)

    @property
    def response(self) -> StoredResponse | None:
        """The response, if it is one to keep."""
        start, *parts = self._messages
        if start["status"] >= CLIENT_CLOSED or start["status"] == 429:
            return None
        content_type = dict(start.get("headers", [])).get(b"content-type", b"application/json").decode("latin-1")
        return StoredResponse(start["status"], content_type, b"".join(part.get("body", b"") for part in parts))


@contextmanager
def _database_errors() -> Iterator[None]:
    """Raise DatabaseDown if the database cannot be used."""
    try:
        yield
    except DBAPIError:
        raise DatabaseDown("Idempotency keys cannot be stored now.", "Try again with the same key.") from None


def _in_use() -> RequestError:
    message = "A request with this idempotency key is being answered."
    return RequestError(message, "Wait for its response.", code="idempotency_in_use", status=409)


def _hash(scope: Scope, body: bytes) -> str:
    content = f"{scope['path']}?".encode() + scope.get("query_string", b"") + b"\n" + body
    return hashlib.sha256(content).hexdigest()


def _replay_body(body: bytes, receive: Receive) -> Receive:
    messages: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]

    async def replay() -> Message:
        return messages.pop() if messages else await receive()

    return replay


async def _send_stored(send: Send, response: StoredResponse) -> None:
    headers = [
        (b"content-type", response.content_type.encode()),
        (b"content-length", str(len(response.body)).encode()),
        (REPLAYED_HEADER, b"true"),
    ]
    await send({"type": "http.response.start", "status": response.status, "headers": headers})
    await send({"type": "http.response.body", "body": response.body})
