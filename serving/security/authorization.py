"""Decides who may send which request, and how often, before it reaches a route.

Readiness is public. As long as no key exists, other requests are answered to this machine only; then they need a key.
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime

from limits import RateLimitItemPerMinute
from limits.storage import MemoryStorage
from limits.strategies import SlidingWindowCounterRateLimiter

from configs.errors import RequestError
from serving.schemas.enums import Scope
from serving.security.api_keys import KEY_PREFIX, ApiKey, KeyCache, verify_key
from serving.security.audit_log import Denial, DeniedRequests
from serving.security.network import is_loopback, require_own_site

SECURITY_HEADERS = {
    b"x-content-type-options": b"nosniff",
    b"referrer-policy": b"no-referrer",
    b"x-frame-options": b"DENY",
    b"content-security-policy": b"default-src 'none'; frame-ancestors 'none'",
    b"cache-control": b"no-store",
}


@dataclass(frozen=True)
class Authorizer:
    """Authorizes the requests of one process, which is one of `workers` that share the rate of a key."""

    key_cache: KeyCache
    clock: Callable[[], datetime]
    workers: int = 1
    denied_requests: DeniedRequests = field(default_factory=DeniedRequests)
    rate_limiter: SlidingWindowCounterRateLimiter = field(
        default_factory=lambda: SlidingWindowCounterRateLimiter(MemoryStorage())
    )

    def authorize(self, scope: Scope | None, path: str, headers: Mapping[bytes, bytes], address: str) -> ApiKey | None:
        """The key of a request that needs `scope` (None: any key); None if it needs no key.

        Raises RequestError if the request is denied.
        """
        if scope == "public":
            return None
        try:
            return self._check_key(scope, headers, address)
        except RequestError as error:
            self.denied_requests.add(Denial(bearer_key_id(headers) or address, error.code, _without_ids(path)))
            raise

    def _check_key(self, scope: Scope | None, headers: Mapping[bytes, bytes], address: str) -> ApiKey | None:
        keys, secret = self.key_cache.keys(), bearer_token(headers)
        if not keys:
            _require_loopback(address)
            require_own_site(headers)
            return None
        if not secret:
            hint = "Send `Authorization: Bearer <key>`."
            raise RequestError("This request needs an API key.", hint, code="api_key_required", status=401)
        key = verify_key(keys, secret, self.clock())
        if scope is not None and not key.has_scope(scope):
            message = f"The API key '{key.id}' lacks the scope '{scope}'."
            raise RequestError(message, "Use a key that has it.", code="scope_required", status=403)
        # Each process counts for itself, so it gets its share of the rate.
        if not self.rate_limiter.hit(RateLimitItemPerMinute(math.ceil(key.per_minute / self.workers)), key.id):
            message = f"The API key '{key.id}' may send {key.per_minute} requests a minute."
            raise RequestError(message, "Wait, or put many ids in one request.", code="rate_limited", status=429)
        return key


def bearer_token(headers: Mapping[bytes, bytes]) -> str:
    """The secret in the `Authorization` or `X-API-Key` header; empty if there is none."""
    kind, _, secret = headers.get(b"authorization", b"").decode("latin-1").partition(" ")
    return secret.strip() if kind.lower() == "bearer" else headers.get(b"x-api-key", b"").decode("latin-1")


def bearer_key_id(headers: Mapping[bytes, bytes]) -> str:
    """The id in the secret, which is not itself secret."""
    parts = bearer_token(headers).split("_", 2)
    return parts[1][:12] if len(parts) == 3 and parts[0] == KEY_PREFIX and parts[1].isalnum() else ""


def _without_ids(path: str) -> str:
    """The part of a path that names no account."""
    return "/".join(path.split("/")[:3])[:100]


def _require_loopback(address: str) -> None:
    if address and not is_loopback(address):
        hint = "Create a key with `oarlock keys create`."
        raise RequestError("Without a key only this machine is answered.", hint, code="api_key_required", status=401)
