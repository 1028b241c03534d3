"""Checks the API key before a request reaches its route."""

from collections.abc import Callable

from starlette.types import ASGIApp, Receive, Scope, Send

from configs.errors import OarlockError
from serving.api.errors import error_response
from serving.api.middleware.response_headers import add_missing_headers
from serving.api.scopes import ScopeTable
from serving.security.authorization import SECURITY_HEADERS, Authorizer, RateLimited, require_unlimited
from serving.security.peer import asking_address
from serving.security.rate_limits import RateDecision

UNSERVED = "a path that is not served"  # anybody can make up paths, and each would be a row of the audit
RESPONSE_HEADERS = {401: {"www-authenticate": "Bearer"}}


class AuthMiddleware:
    """The ASGI middleware that decides by the scope table; `authorizer` gives this process's authorizer."""

    def __init__(self, app: ASGIApp, scopes: ScopeTable, authorizer: Callable[[], Authorizer]) -> None:
        self.app, self.scopes, self.authorizer = app, scopes, authorizer

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on with the id of its key, or answer why it is denied."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        required = self.scopes.scope_of(scope["method"], scope["path"])
        try:
            path = scope["path"] if self.scopes.serves(scope["path"]) else UNSERVED
            key_id, rate, owner = self.authorizer().authorize(
                required, path, dict(scope["headers"]), asking_address(scope)
            )
            if owner is not None and not self.scopes.limits_rows(scope["method"], scope["path"]):
                require_unlimited(owner)
        except OarlockError as denied:
            send = _with_headers(send, denied.rate if isinstance(denied, RateLimited) else None)
            await error_response(denied, RESPONSE_HEADERS.get(denied.status))(scope, receive, send)
            return
        scope["oarlock.key"], scope["oarlock.owner"] = key_id, owner
        await self.app(scope, receive, _with_headers(send, rate))


def _with_headers(send: Send, rate: RateDecision | None) -> Send:
    """Add the security headers, and what is left of the key's rate, unless the response has its own."""
    return add_missing_headers(send, {**SECURITY_HEADERS, **rate.headers} if rate else SECURITY_HEADERS)
