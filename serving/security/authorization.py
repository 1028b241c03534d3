"""Decides who may send which request, and how often, before it reaches a route.

Readiness is public. As long as no key exists, other requests are answered to this machine only; then they need a key.
"""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import NamedTuple

from configs.errors import RequestError
from serving.schemas.enums import Scope
from serving.security.api_keys import KEY_PREFIX, ApiKey, KeyCache, require_active, verify_key
from serving.security.audit_log import Denial, DeniedRequests
from serving.security.network import is_loopback, require_own_site
from serving.security.peer import claimed_address
from serving.security.rate_limits import RateDecision, RateLimits

SECURITY_HEADERS = {
    b"x-content-type-options": b"nosniff",
    b"referrer-policy": b"no-referrer",
    b"x-frame-options": b"DENY",
    b"content-security-policy": b"default-src 'none'; frame-ancestors 'none'",
    b"cache-control": b"no-store",
}


class Permission(NamedTuple):
    """That a request is allowed: the id of its key ("" if it needs none), and what is left of the key's rate.

    `owner` is the owner to whose accounts the key is limited.
    """

    key_id: str
    rate: RateDecision | None = None
    owner: str | None = None


NO_KEY = Permission("")


def require_unlimited(owner: str | None) -> None:
    """Raise RequestError (403) for a key that is limited to an owner's accounts."""
    if owner is not None:
        message = "This is about the accounts of every owner, and the API key is limited to those of one owner."
        raise RequestError(message, "Use a key that is not limited.", code="key_limited", status=403)


def not_signed_in() -> RequestError:
    """The error (401) for a session without a key, or with one that has gone."""
    return RequestError("You are not signed in.", "Sign in with an API key.", code="sign_in_required", status=401)


class RateLimited(RequestError):
    """A key sent more requests than it may; `rate` says when it may send the next."""

    def __init__(self, key_id: str, rate: RateDecision) -> None:
        message = f"The API key '{key_id}' may send {rate.limit} requests a minute."
        super().__init__(message, "Wait, or put many ids in one request.", code="rate_limited", status=429)
        self.rate, self.retry_after_seconds = rate, rate.retry_after_seconds


@dataclass(frozen=True)
class Authorizer:
    """Authorizes the requests of one process; all processes of a service share the `rate_limits` of its keys."""

    key_cache: KeyCache
    clock: Callable[[], datetime]
    rate_limits: RateLimits
    denied_requests: DeniedRequests = field(default_factory=DeniedRequests)

    def authorize(self, scope: Scope | None, path: str, headers: Mapping[bytes, bytes], address: str) -> Permission:
        """The permission of a request that needs `scope` (None: any key).

        Raises RequestError if the request is denied, NotReady if the keys were never read.
        """
        if scope == "public":
            return NO_KEY
        with self._denials_counted(bearer_key_id(headers), path, address=address):
            return self._check_key(scope, headers, address)

    def authorize_session(
        self, key_id: str, scope: Scope, path: str, headers: Mapping[bytes, bytes], *, address: str
    ) -> Permission:
        """The permission of a person who signed in with this key ("" for nobody).

        Raises RequestError if the key is missing, unknown, expired or revoked, or the request is denied.
        """
        with self._denials_counted(key_id, path, address=address):
            keys = self.key_cache.keys()
            if not keys:
                return _permit_this_machine(headers, address)
            key = keys.get(key_id)
            if key is None:
                raise not_signed_in()
            require_active(key, self.clock())
            return self._permit(key, scope)

    def sign_in(self, secret: str, path: str, address: str) -> Permission:
        """The permission of a person who sends this secret; raises RequestError unless it is valid and may read."""
        with self._denials_counted("", path, address=address):
            return self._permit(verify_key(self.key_cache.keys(), secret, self.clock()), "read")

    @contextmanager
    def _denials_counted(self, key_id: str, path: str, *, address: str) -> Iterator[None]:
        try:
            yield
        except RequestError as error:
            keys = self.key_cache.keys()
            actor = key_id if key_id in keys else address  # anybody can make up ids
            self.denied_requests.add(Denial(actor, error.code, _without_ids(path)))
            raise

    def _check_key(self, scope: Scope | None, headers: Mapping[bytes, bytes], address: str) -> Permission:
        keys, secret = self.key_cache.keys(), bearer_token(headers)
        if not keys:
            return _permit_this_machine(headers, address)
        if not secret:
            hint = "Send `Authorization: Bearer <key>`."
            raise RequestError("This request needs an API key.", hint, code="api_key_required", status=401)
        return self._permit(verify_key(keys, secret, self.clock()), scope)

    def _permit(self, key: ApiKey, scope: Scope | None) -> Permission:
        """The permission of a valid key; raises RequestError if it lacks the scope, or sent too many requests."""
        if scope is not None and not key.has_scope(scope):
            message = f"The API key '{key.id}' lacks the scope '{scope}'."
            raise RequestError(message, "Use a key that has it.", code="scope_required", status=403)
        rate = self.rate_limits.hit(key.id, key.per_minute, self.clock().replace(tzinfo=UTC).timestamp())
        if not rate.is_allowed:
            raise RateLimited(key.id, rate)
        return Permission(key.id, rate, key.owner)


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


def _permit_this_machine(headers: Mapping[bytes, bytes], address: str) -> Permission:
    """The permission without any key; raises RequestError unless this machine asks, and no page of another site."""
    if address and not is_loopback(claimed_address(address)):
        hint = "Create a key with `oarlock keys create`."
        raise RequestError("Without a key only this machine is answered.", hint, code="api_key_required", status=401)
    require_own_site(headers)
    return NO_KEY
