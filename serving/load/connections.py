"""Limits of the connections: what a client may send, and how long it may take, before any key is checked.

uvicorn has no limit on a request's head (its line and headers), none on the time it takes to arrive, and none on the
number of connections. BentoML passes it no options, so its protocol is extended.
"""

import asyncio
import json
import resource
from collections import Counter
from collections.abc import Callable
from typing import Any, NamedTuple, cast

from starlette.types import ASGIApp
from uvicorn.config import HTTP_PROTOCOLS, Config
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol
from uvicorn.server import ServerState

from serving.security.peer import remember_peer
from serving.telemetry.request_ids import new_request_id

CHECK_SECONDS = 0.5
REASONS = ("too_many", "large_head", "slow_head", "not_http", "slow_body", "large_tail", "unread_response")
SPARE_FILES = 256  # of a process, for what is no connection
HEADER_OVERHEAD = 4  # ": " and the end of the line
TAIL_BYTES_PER_BODY_BYTE = 8  # a chunk of a single byte takes six; more are endless trailers


class ConnectionLimits(NamedTuple):
    """The limits of one process: connections, bytes of a head, and seconds."""

    max_connections: int
    max_head_bytes: int
    head_seconds: float  # for a head to arrive, and for what follows an answered request
    idle_seconds: float  # between two requests
    response_seconds: float  # for a client to take a response


class Refusal(NamedTuple):
    """Why a connection is closed with a response."""

    status: int
    code: str
    message: str
    hint: str


class ConnectionGuard:
    """The connections of a process, checked every half second; `limits` is asked once the first is made."""

    def __init__(self, limits: Callable[[], ConnectionLimits]) -> None:
        self._read_limits = limits
        self._limits: ConnectionLimits | None = None
        self._connections: set[GuardedProtocol] = set()
        self._check: asyncio.TimerHandle | None = None
        self.closed = Counter[str](dict.fromkeys(REASONS, 0))

    @property
    def limits(self) -> ConnectionLimits:
        if self._limits is None:
            self._limits = self._read_limits()
        return self._limits

    def install(self) -> None:
        """Make uvicorn, which BentoML starts without options, use this guard's protocol."""
        HTTP_PROTOCOLS["auto"] = self.create_protocol  # type: ignore[assignment]

    def create_protocol(self, config: Config, server_state: ServerState, app_state: dict[str, Any], **options: Any):
        """The protocol of a new connection, as uvicorn asks for it."""
        return GuardedProtocol(self, config, server_state, app_state, **options)

    def add(self, connection: "GuardedProtocol") -> None:
        """Watch a new connection; where there are too many, the one that has waited longest without a request ends."""
        self._connections.add(connection)
        if self._check is None:
            self._check = connection.loop.call_later(CHECK_SECONDS, self._check_all, connection.loop)
        if len(self._connections) > self.limits.max_connections:
            waiting = [other for other in self._connections if other.waiting_since is not None]
            longest = min(waiting, key=lambda other: other.waiting_since or 0.0)
            self.end(longest, "too_many")

    def remove(self, connection: "GuardedProtocol") -> None:
        """Forget a connection that is closed."""
        self._connections.discard(connection)

    def end(self, connection: "GuardedProtocol", reason: str) -> None:
        """Close a connection, and count why."""
        self.closed[reason] += 1
        self._connections.discard(connection)
        connection.transport.abort()

    def _check_all(self, loop: asyncio.AbstractEventLoop) -> None:
        now = loop.time()
        for connection in tuple(self._connections):
            connection.check(now)
        self._check = loop.call_later(CHECK_SECONDS, self._check_all, loop) if self._connections else None


class GuardedProtocol(HttpToolsProtocol):
    """uvicorn's protocol of a connection, which ends those that break a limit."""

    def __init__(
        self,
        guard: ConnectionGuard,
        config: Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        **options: Any,
    ) -> None:
        super().__init__(config, server_state, app_state, **options)
        app = cast(ASGIApp, config.loaded_app)
        self.app = remember_peer(app)  # before uvicorn believes a header that says who asks
        self.guard, self.timeout_keep_alive = guard, guard.limits.idle_seconds
        self.ws_protocol_class = None  # no route is a web socket, and their protocol has no limits
        self.waiting_since: float | None = None  # for a request whose head is complete
        self._head_since: float | None = None
        self._answered_since: float | None = None  # while the body of an answered request still arrives
        self._unread_since: float | None = None  # while the client does not take its response
        self._head_bytes = self._tail_bytes = self._body_bytes = 0
        self._is_in_message = False
        self._refusal: Refusal | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Begin to wait for the first head."""
        super().connection_made(transport)
        self.waiting_since = self._head_since = self.loop.time()
        self.guard.add(self)

    def connection_lost(self, exc: Exception | None) -> None:
        """Stop to watch."""
        self.guard.remove(self)
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Count the bytes of a head while it arrives, and those behind it that are no body, and refuse too many."""
        if self.transport.is_closing():
            return
        if not self._is_in_message:
            self._begin_head()
        if self._head_since is None:
            self._tail_bytes += len(data)
        else:
            self._head_bytes += len(data)
        super().data_received(data)
        limit = self.guard.limits.max_head_bytes
        if self._head_since is not None and self._head_bytes > limit:
            self._refuse(self._large_head())
        elif self._tail_bytes > limit + TAIL_BYTES_PER_BODY_BYTE * self._body_bytes:
            self.guard.end(self, "large_tail")

    def on_message_begin(self) -> None:
        """Note that a request has begun, perhaps right behind another."""
        self._begin_head()
        self._is_in_message = True
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        """Start the request unless its head is too large. httptools turns the exception into `send_400_response`."""
        limit = self.guard.limits.max_head_bytes
        if self._head_bytes > limit:  # only then can the head be larger; the bytes may also be those of a body
            size = len(self.url) + sum(len(name) + len(value) + HEADER_OVERHEAD for name, value in self.headers)
            if size > limit:
                self._refusal = self._large_head()
                raise ValueError(self._refusal.message)
        self._head_since = self.waiting_since = None
        self._tail_bytes = self._body_bytes = 0
        super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        """Count the bytes of a body."""
        self._body_bytes += len(body)
        super().on_body(body)

    def on_message_complete(self) -> None:
        """Note that a request has arrived."""
        self._is_in_message, self._answered_since = False, None
        super().on_message_complete()

    def on_response_complete(self) -> None:
        """Begin to wait for the next request, or for the end of a body that is answered already."""
        super().on_response_complete()
        if not self.pipeline and self.cycle.response_complete:
            self.waiting_since = self.loop.time()
            if self._is_in_message:
                self._answered_since = self.waiting_since

    def send_400_response(self, msg: str) -> None:
        """Answer what is no HTTP in the shape of every other error."""
        self._refuse(self._refusal or Refusal(400, "not_http", msg, "Send HTTP/1.1."))

    def check(self, now: float) -> None:
        """Close the connection if the client takes too long."""
        limits = self.guard.limits
        is_unread = self.transport.get_write_buffer_size() > 0
        self._unread_since = (self._unread_since or now) if is_unread else None
        if _is_over(self._unread_since, limits.response_seconds, now):
            self.guard.end(self, "unread_response")
        elif self.transport.is_closing():
            return
        elif _is_over(self._answered_since, limits.head_seconds, now):
            self.guard.end(self, "slow_body")
        elif _is_over(self._head_since, limits.head_seconds, now):
            message = f"The head of the request did not arrive within {limits.head_seconds:g} seconds."
            self._refuse(Refusal(408, "slow_head", message, "Send it in one piece."))

    def _begin_head(self) -> None:
        if self._head_since is None:
            self._head_since, self._head_bytes = self.loop.time(), 0

    def _large_head(self) -> Refusal:
        message = f"The line and headers of the request are larger than {self.guard.limits.max_head_bytes} bytes."
        return Refusal(431, "large_head", message, "Send fewer or shorter headers.")

    def _refuse(self, refusal: Refusal) -> None:
        if self.transport.is_closing():
            return
        self.guard.closed[refusal.code] += 1
        self.transport.write(_response(refusal))
        self.transport.close()


def limit_open_files(max_connections: int) -> None:
    """Let this process open as many files as it may have connections, as far as the system allows."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    needed = max_connections + SPARE_FILES
    if soft < needed:
        resource.setrlimit(resource.RLIMIT_NOFILE, (min(needed, hard), hard))


def _is_over(since: float | None, seconds: float, now: float) -> bool:
    return since is not None and now - since > seconds


def _response(refusal: Refusal) -> bytes:
    error = {"code": refusal.code, "message": refusal.message, "hint": refusal.hint}
    body = json.dumps({"error": error}).encode()
    headers = {
        "content-type": "application/json",
        "content-length": len(body),
        "x-content-type-options": "nosniff",
        "cache-control": "no-store",
        "x-request-id": new_request_id(),
        "connection": "close",
    }
    lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    return STATUS_LINE[refusal.status] + lines.encode() + b"\r\n" + body
