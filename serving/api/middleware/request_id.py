"""Gives every request its id: the one place where it is set."""

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from serving.telemetry.json_logs import REQUEST_ID
from serving.telemetry.request_ids import new_request_id

HEADER = b"x-request-id"


class RequestIdMiddleware:
    """The outermost ASGI middleware: the log, the ledger and the response all have the id that it sets."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on with its id, and add the id to the response."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        sent = dict(scope["headers"]).get(HEADER, b"").decode("latin-1")
        request_id = scope["oarlock.request_id"] = new_request_id(sent)
        REQUEST_ID.set(request_id)

        async def add_header(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message.get("headers", []), (HEADER, request_id.encode())]
            await send(message)

        await self.app(scope, receive, add_header)
