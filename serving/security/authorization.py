"""Access: who may ask for what and how often, decided before a request reaches a route; and headers that browsers obey.

Readiness is open. Everything else is open to this machine only while no key was ever made, and then needs one.
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime

from limits import RateLimitItemPerMinute
from limits.storage import MemoryStorage
from limits.strategies import SlidingWindowCounterRateLimiter

from configs.errors import RequestError
from serving.security.api_keys import KEY_PREFIX, ApiKey, KeyCache, verify_key
from serving.security.audit_log import DeniedRequests
from serving.security.network import is_loopback

PUBLIC_PATHS = frozenset({"/livez", "/readyz", "/healthz", "/v1/ready"})
SCORING = frozenset({"/v1/score", "/v1/explain", "/v1/change", "/v1/what_if"})
TELLING = frozenset({"/v1/feedback", "/v1/outcomes"})
READING = frozenset({"GET", "HEAD", "OPTIONS"})
SECURITY_HEADERS = {
    b"x-content-type-options": b"nosniff",
    b"referrer-policy": b"no-referrer",
    b"x-frame-options": b"DENY",
    b"content-security-policy": b"default-src 'none'; frame-ancestors 'none'",
    b"cache-control": b"no-store",
}


@dataclass(frozen=True)
class Authorizer:
    """What one process decides by: the keys, the clock, how many processes share a key's rate, what was denied."""

    key_cache: KeyCache
    clock: Callable[[], datetime]
    workers: int = 1
    denied_requests: DeniedRequests = field(default_factory=DeniedRequests)
    rate_limiter: SlidingWindowCounterRateLimiter = field(
        default_factory=lambda: SlidingWindowCounterRateLimiter(MemoryStorage())
    )

    def authorize(self, method: str, path: str, headers: Mapping[bytes, bytes], address: str) -> ApiKey | None:
        """The key that asks, None where none is needed. Raises RequestError where the request is denied."""
        if path in PUBLIC_PATHS:
            return None
        try:
            return self._admit(scope_of(method, path), headers, address)
        except RequestError as denied:
            self.denied_requests.add(bearer_key_id(headers) or address, denied.code, _place(path))
            raise

    def _admit(self, scope: str, headers: Mapping[bytes, bytes], address: str) -> ApiKey | None:
        keys, secret = self.key_cache.keys(), bearer_token(headers)
        if not keys:
            _refuse_strangers(address)
            return None
        if not secret:
            hint = "Send `Authorization: Bearer <key>`."
            raise RequestError("A key is needed.", hint, code="key_needed", status=401)
        key = verify_key(keys, secret, self.clock())
        if not key.has_scope(scope):
            message = f"The key '{key.id}' is not for this: it lacks the scope '{scope}'."
            raise RequestError(message, "Use a key that has it.", code="scope_needed", status=403)
        # Each process counts for itself: a share of the rate keeps all of them together within it.
        if not self.rate_limiter.hit(RateLimitItemPerMinute(math.ceil(key.per_minute / self.workers)), key.id):
            message = f"The key '{key.id}' may ask {key.per_minute} times a minute."
            raise RequestError(message, "Wait, or put many ids in one request.", code="rate_limited", status=429)
        return key


def scope_of(method: str, path: str) -> str:
    """Which scope a request needs; what is not known to be harmless needs the widest."""
    if method == "POST" and path in SCORING:
        return "score"
    if method == "POST" and path in TELLING:
        return "feedback"
    return "read" if method in READING else "admin"


def bearer_token(headers: Mapping[bytes, bytes]) -> str:
    """The secret that a request shows, in either header that tools know; empty where it shows none."""
    kind, _, secret = headers.get(b"authorization", b"").decode("latin-1").partition(" ")
    return secret.strip() if kind.lower() == "bearer" else headers.get(b"x-api-key", b"").decode("latin-1")


def bearer_key_id(headers: Mapping[bytes, bytes]) -> str:
    """The part of a shown secret that is no secret."""
    parts = bearer_token(headers).split("_", 2)
    return parts[1][:12] if len(parts) == 3 and parts[0] == KEY_PREFIX and parts[1].isalnum() else ""


def _place(path: str) -> str:
    """The part of a path that names no account."""
    return "/".join(path.split("/")[:3])[:100]


def _refuse_strangers(address: str) -> None:
    if address and not is_loopback(address):
        hint = "Make one: `oarlock keys create`."
        raise RequestError("Without a key only this machine is answered.", hint, code="key_needed", status=401)
