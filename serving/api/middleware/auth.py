"""Asks for an API key before a request reaches its route."""

from collections.abc import Callable

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from configs.errors import OarlockError
from serving.api.errors import send_error
from serving.security.authorization import HEADERS, Gate


class AuthMiddleware:
    """The ASGI middleware that asks the gate; `gate` gives this process's when a request comes."""

    def __init__(self, app: ASGIApp, gate: Callable[[], Gate]) -> None:
        self.app, self.gate = app, gate

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on with its key's id beside it, or answer why not."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        address = scope["client"][0] if scope.get("client") else ""
        secured = _with_security_headers(send)
        try:
            key = self.gate().admit(scope["method"], scope["path"], dict(scope["headers"]), address)
        except OarlockError as denied:
            more = {b"retry-after": b"60"} if denied.status == 429 else {}
            more |= {b"www-authenticate": b"Bearer"} if denied.status == 401 else {}
            await send_error(secured, denied, more)
            return
        scope["oarlock.key"] = key.id if key else ""
        await self.app(scope, receive, secured)


def _with_security_headers(send: Send) -> Send:
    async def add_headers(message: Message) -> None:
        if message["type"] == "http.response.start":
            given = {name.lower() for name, _ in message.get("headers", [])}
            more = [(name, value) for name, value in HEADERS.items() if name not in given]
            message = {**message, "headers": [*message.get("headers", []), *more]}
        await send(message)

    return add_headers
