"""Every request observed: an id of its own, a line in the log, a count and a duration by route, and /metrics itself."""

import logging
import re
import time
import uuid
from collections.abc import Callable

from starlette.routing import Mount
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from serving.telemetry.json_logs import REQUEST_ID
from serving.telemetry.metrics import Metrics

LOG = logging.getLogger("oarlock.request")
HEADER = b"x-request-id"
REQUEST_ID_PATTERN = re.compile(r"[\w.:-]{1,64}")
# Asked every few seconds by whoever watches: counted, not logged.
UNLOGGED_PATHS = frozenset({"/livez", "/readyz", "/healthz", "/metrics", "/v1/ready"})
NO_ROUTE = "none"


class RequestLogMiddleware:
    """The outermost ASGI middleware; `metrics` gives this process's when a request comes."""

    def __init__(self, app: ASGIApp, metrics: Callable[[], Metrics]) -> None:
        self.app, self.metrics = app, metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on with its id, and say how it ended."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        request_id, status, began = _request_id(scope), 500, time.perf_counter()
        REQUEST_ID.set(request_id)
        # Routes read it from here, so that the ledger, the log and the reply all say the same.
        scope["headers"] = [*(pair for pair in scope["headers"] if pair[0] != HEADER), (HEADER, request_id.encode())]

        async def note(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                others = [pair for pair in message.get("headers", []) if pair[0].lower() != HEADER]
                message = {**message, "headers": [*others, (HEADER, request_id.encode())]}
            await send(message)

        try:
            await self.app(scope, receive, note)
        finally:
            self._log_request(scope, status, time.perf_counter() - began)

    def _log_request(self, scope: Scope, status: int, seconds: float) -> None:
        method, route, metrics = scope["method"], route_template(scope, status), self.metrics()
        metrics.requests.labels(method, route, status).inc()
        metrics.seconds.labels(method, route).observe(seconds)
        if scope["path"] not in UNLOGGED_PATHS:
            said = {"method": method, "route": route, "status": status, "ms": round(seconds * 1000, 2)}
            LOG.info("answered", extra={**said, "key": scope.get("oarlock.key", "")})


def route_template(scope: Scope, status: int) -> str:
    """The route's template, never the path: a path holds ids, and each would be a series for ever."""
    if "route_template" in scope:
        return scope["route_template"]
    if status in (404, 405) or ("endpoint" not in scope and scope["path"] not in UNLOGGED_PATHS):
        return NO_ROUTE
    route = scope.get("route")
    if route is not None and not isinstance(route, Mount):  # the OpenAPI's own route leaves that of the mount there
        return f"{scope.get('root_path', '')}{route.path}"
    path = scope["path"]
    for name, value in scope.get("path_params", {}).items():
        path = path.replace(f"/{value}", f"/{{{name}}}", 1)
    return path


def _request_id(scope: Scope) -> str:
    given = dict(scope["headers"]).get(HEADER, b"").decode("latin-1")
    return given if REQUEST_ID_PATTERN.fullmatch(given) else uuid.uuid4().hex
