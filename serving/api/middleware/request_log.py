"""Logs and counts every request, by the template of its route."""

import logging
import time
from collections.abc import Callable

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from serving.telemetry.metrics import Metrics

LOG = logging.getLogger("oarlock.request")
# Monitoring asks for these every few seconds: they are counted, not logged.
UNLOGGED_PATHS = frozenset({"/livez", "/readyz", "/healthz", "/metrics", "/v1/ready"})
NO_ROUTE = "none"
METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
OTHER_METHOD = "other"  # anybody can make up methods, and each would be a time series


class RequestLogMiddleware:
    """The ASGI middleware that logs and counts; `metrics` gives this process's metrics."""

    def __init__(self, app: ASGIApp, metrics: Callable[[], Metrics]) -> None:
        self.app, self.metrics = app, metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, and log its status and duration."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        status, started = 500, time.perf_counter()

        async def read_status(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            await self.app(scope, receive, read_status)
        finally:
            self._log_request(scope, status, time.perf_counter() - started)

    def _log_request(self, scope: Scope, status: int, seconds: float) -> None:
        method = scope["method"] if scope["method"] in METHODS else OTHER_METHOD
        route, metrics = route_template(scope), self.metrics()
        metrics.requests.labels(method, route, status).inc()
        metrics.request_seconds.labels(method, route).observe(seconds)
        if scope["path"] not in UNLOGGED_PATHS:
            fields = {"method": method, "route": route, "status": status, "ms": round(seconds * 1000, 2)}
            LOG.info("request", extra={**fields, "key": scope.get("oarlock.key", "")})


def route_template(scope: Scope) -> str:
    """The template of the route, not the path: a path has ids, and each would be a time series of its own."""
    if "route_template" in scope:
        return scope["route_template"]
    return scope["path"] if scope["path"] in UNLOGGED_PATHS else NO_ROUTE
