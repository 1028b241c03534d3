"""Answers GET /metrics."""

from collections.abc import Callable

from starlette.types import ASGIApp, Receive, Scope, Send

from configs.errors import Overloaded
from serving.api.errors import error_response
from serving.load.thread_pools import ThreadPool
from serving.telemetry.metrics import CONTENT_TYPE, Metrics

PATH = "/metrics"


class MetricsEndpointMiddleware:
    """The ASGI middleware that answers with the metrics of all processes, behind the authorization of its scope."""

    def __init__(self, app: ASGIApp, metrics: Callable[[], Metrics], pool: Callable[[], ThreadPool]) -> None:
        self.app, self.metrics, self.pool = app, metrics, pool

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer, or pass the request on."""
        if scope["type"] != "http" or scope["path"] != PATH or scope["method"] not in ("GET", "HEAD"):
            await self.app(scope, receive, send)
            return
        try:
            body = await self.pool().run(1, self.metrics().render)
        except Overloaded as error:
            await error_response(error)(scope, receive, send)
            return
        headers = [(b"content-type", CONTENT_TYPE.encode()), (b"content-length", str(len(body)).encode())]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": body})
