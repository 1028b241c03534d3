"""Idempotency: a POST with an `Idempotency-Key` that is sent again is answered with what it was answered before.

The key belongs to who asks. The same key with another request is refused, and so is one that is still being answered.
Replies are kept for a day; an answer that says "not now" (5xx, 429) is not kept, so that trying again means something.
"""

import asyncio
import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sql
from sqlalchemy.exc import DBAPIError, IntegrityError
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from configs.errors import NotReady, OarlockError, RequestError
from serving.api.errors import send_error
from serving.ledger.schema import REPLIES

HEADER, REPLAYED_HEADER = b"idempotency-key", b"idempotency-replayed"
RETENTION = timedelta(days=1)
# Longer than any request lives: a process that died while it answered holds a key no longer than this.
LOCK_TIMEOUT = timedelta(minutes=1)
MAX_KEY_LENGTH = 200


@dataclass(frozen=True)
class StoredResponse:
    """What a request was answered."""

    status: int
    content_type: str
    body: bytes


@dataclass(frozen=True)
class IdempotencyStore:
    """The replies kept in the database that `engine` opens."""

    engine: Callable[[], sql.Engine]
    clock: Callable[[], datetime]

    def begin(self, asker: str, key: str, request: str) -> StoredResponse | None:
        """The reply this very request got before, or None where it is to be answered now, by the caller alone.

        Raises RequestError (409) where the key was used for another request, or is in use.
        """
        at, mine = self.clock(), (REPLIES.c.asker == asker, REPLIES.c.idempotency_key == key)
        too_old = (REPLIES.c.at < at - RETENTION) | (REPLIES.c.status.is_(None) & (REPLIES.c.at < at - LOCK_TIMEOUT))
        try:
            with self.engine().begin() as connection:
                connection.execute(REPLIES.delete().where(*mine, too_old))
                connection.execute(REPLIES.insert().values(asker=asker, idempotency_key=key, request=request, at=at))
        except IntegrityError:
            return self._stored_response(mine, request)
        return None

    def end(self, asker: str, key: str, reply: StoredResponse | None) -> None:
        """Keep the reply, or let go of the key where there is none to keep."""
        mine = (REPLIES.c.asker == asker, REPLIES.c.idempotency_key == key)
        kept = REPLIES.update().where(*mine).values(**vars(reply)) if reply else REPLIES.delete().where(*mine)
        with self.engine().begin() as connection:
            connection.execute(kept)

    def prune(self) -> int:
        """Take away the replies that are kept no longer."""
        with self.engine().begin() as connection:
            return connection.execute(REPLIES.delete().where(REPLIES.c.at < self.clock() - RETENTION)).rowcount

    def _stored_response(self, mine: tuple[Any, ...], request: str) -> StoredResponse | None:
        with self.engine().connect() as connection:
            row = connection.execute(sql.select(REPLIES).where(*mine)).mappings().one_or_none()
        if row and row["request"] != request:
            message = "This idempotency key was used for another request."
            raise RequestError(message, "Use a new key for a new request.", code="idempotency_conflict", status=409)
        if row is None or row["status"] is None:
            message = "A request with this idempotency key is being answered."
            raise RequestError(message, "Wait for its answer.", code="idempotency_in_use", status=409)
        return StoredResponse(row["status"], row["content_type"], row["body"])


class IdempotencyMiddleware:
    """The ASGI middleware that looks for the header; `replies` gives this process's when a request comes."""

    def __init__(self, app: ASGIApp, replies: Callable[[], IdempotencyStore], most_bytes: Callable[[], int]) -> None:
        self.app, self.replies, self.most_bytes = app, replies, most_bytes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer from what is kept, or pass the request on and keep its reply."""
        key = dict(scope["headers"]).get(HEADER, b"").decode("latin-1") if scope["type"] == "http" else ""
        if not key or scope["method"] != "POST":
            await self.app(scope, receive, send)
            return
        try:
            await self._answer(key, scope, receive, send)
        except OarlockError as problem:
            await send_error(send, problem, {})

    async def _answer(self, key: str, scope: Scope, receive: Receive, send: Send) -> None:
        if len(key) > MAX_KEY_LENGTH:
            raise RequestError(
                f"The idempotency key is longer than {MAX_KEY_LENGTH} characters.", code="invalid", status=422
            )
        body = await _read_body(receive, self.most_bytes())
        asker, replies = scope.get("oarlock.key", ""), self.replies()
        request = hashlib.sha256(
            f"{scope['path']}?".encode() + scope.get("query_string", b"") + b"\n" + body
        ).hexdigest()
        before = await asyncio.to_thread(_call_database, replies.begin, asker, key, request)
        if before:
            await _send_stored(send, before)
            return
        recorder, reply = _Recorder(send), None
        try:
            await self.app(scope, _replay_body(body, receive), recorder.send)
            reply = recorder.reply
        finally:
            await asyncio.to_thread(_call_database, replies.end, asker, key, reply)
        await recorder.forward()


class _Recorder:
    """Holds a reply back until it is kept."""

    def __init__(self, send: Send) -> None:
        self._send, self._messages = send, list[Message]()

    async def send(self, message: Message) -> None:
        self._messages.append(message)

    async def forward(self) -> None:
        for message in self._messages:
            await self._send(message)

    @property
    def reply(self) -> StoredResponse | None:
        start, *rest = self._messages
        if start["status"] >= 500 or start["status"] == 429:
            return None
        kind = dict(start.get("headers", [])).get(b"content-type", b"application/json").decode("latin-1")
        return StoredResponse(start["status"], kind, b"".join(part.get("body", b"") for part in rest))


def _call_database(call: Callable[..., Any], *given: Any) -> Any:
    """Do it, and where the database does not let it be done say so."""
    try:
        return call(*given)
    except DBAPIError:
        raise NotReady("Idempotency keys cannot be kept right now.", "Try again with the same key.") from None


async def _read_body(receive: Receive, most_bytes: int) -> bytes:
    body, more = bytearray(), True
    while more:
        message = await receive()
        body += message.get("body", b"")
        more = message.get("more_body", False)
        if len(body) > most_bytes:
            message = f"The body is larger than {most_bytes} bytes."
            raise RequestError(message, "Send fewer ids.", code="too_large", status=413)
    return bytes(body)


def _replay_body(body: bytes, receive: Receive) -> Receive:
    given = False

    async def give() -> Message:
        nonlocal given
        if given:
            return await receive()
        given = True
        return {"type": "http.request", "body": body, "more_body": False}

    return give


async def _send_stored(send: Send, reply: StoredResponse) -> None:
    headers = {b"content-type": reply.content_type.encode(), b"content-length": str(len(reply.body)).encode()}
    start = {
        "type": "http.response.start",
        "status": reply.status,
        "headers": [*headers.items(), (REPLAYED_HEADER, b"true")],
    }
    await send(start)
    await send({"type": "http.response.body", "body": reply.body})
