"""API keys: shown once when they are made, kept as a hash, and checked in constant time.

A key is 32 random bytes, so its SHA-256 cannot be turned back by trying: a slow hash (argon2, bcrypt) protects what
people choose, passwords, and would cost each request more than the risk it asks for.
"""

import hashlib
import hmac
import secrets
import threading
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime

import sqlalchemy as sql
from sqlalchemy.exc import DBAPIError

from configs.errors import NotReady, RequestError
from serving.ledger.schema import API_KEYS

SCOPES = ("score", "read", "feedback", "admin")
KEY_PREFIX = "oarlock"
UNMATCHABLE_HASH = "0" * 64


@dataclass(frozen=True)
class ApiKey:
    """What is known of a key; never the key itself."""

    id: str
    name: str
    hash: str
    scopes: frozenset[str]
    per_minute: int
    created_at: datetime
    expires_at: datetime | None = None
    revoked_at: datetime | None = None

    def status(self, at: datetime) -> str:
        """active, expired or revoked."""
        if self.revoked_at:
            return "revoked"
        return "expired" if self.expires_at and self.expires_at <= at else "active"

    def has_scope(self, scope: str) -> bool:
        """Whether it is for this; an admin's key is for everything."""
        return scope in self.scopes or "admin" in self.scopes


def create_key(name: str, scopes: Iterable[str], per_minute: int, made_at: datetime) -> tuple[str, ApiKey]:
    """A new secret, and what is kept of it."""
    identity = secrets.token_hex(6)
    secret = f"{KEY_PREFIX}_{identity}_{secrets.token_urlsafe(32)}"
    return secret, ApiKey(identity, name, _hash(secret), frozenset(scopes), per_minute, made_at)


def save_key(engine: sql.Engine, key: ApiKey) -> None:
    """Keep a key."""
    with engine.begin() as connection:
        connection.execute(API_KEYS.insert().values({**vars(key), "scopes": ",".join(sorted(key.scopes))}))


def read_api_keys(engine: sql.Engine) -> list[ApiKey]:
    """Every key ever made, oldest first."""
    with engine.connect() as connection:
        rows = connection.execute(sql.select(API_KEYS).order_by(API_KEYS.c.made_at, API_KEYS.c.id)).mappings()
        return [ApiKey(**{**row, "scopes": frozenset(row["scopes"].split(","))}) for row in rows]


def revoke_key(engine: sql.Engine, identity: str, at: datetime) -> bool:
    """Revoke a key from now on; False where there is no such key or it was revoked before."""
    revoked = API_KEYS.update().where(API_KEYS.c.id == identity, API_KEYS.c.revoked_at.is_(None)).values(revoked_at=at)
    with engine.begin() as connection:
        return connection.execute(revoked).rowcount == 1


def verify_key(keys: dict[str, ApiKey], secret: str, at: datetime) -> ApiKey:
    """The key that this secret is. Raises RequestError (401) where it is none, expired or revoked."""
    parts = secret.split("_", 2)
    key = keys.get(parts[1]) if len(parts) == 3 else None
    # The same work for an id that nobody has: time tells nothing.
    if not hmac.compare_digest(_hash(secret), key.hash if key else UNMATCHABLE_HASH) or key is None:
        raise RequestError("This is not a key.", "Ask for one: `oarlock keys create`.", code="not_a_key", status=401)
    status = key.status(at)
    if status != "active":
        hint = "Ask for a new one: `oarlock keys create`."
        raise RequestError(f"The key '{key.id}' is {status}.", hint, code=f"key_{status}", status=401)
    return key


class KeyCache:
    """The keys as one process knows them: read again every few seconds, never in a request."""

    def __init__(self, engine: Callable[[], sql.Engine]) -> None:
        self._engine = engine
        self._keys: dict[str, ApiKey] | None = None
        self._reading = threading.Lock()

    def refresh(self) -> None:
        """Read the keys; where the database is away those known before stay, and none where none were."""
        with self._reading:
            try:
                self._keys = {key.id: key for key in read_api_keys(self._engine())}
            except (DBAPIError, NotReady) as problem:
                if self._keys is None:
                    raise NotReady("The keys cannot be read.", "Start the database of the ledger.") from problem

    def keys(self) -> dict[str, ApiKey]:
        """Every key by its id. Raises NotReady where they have never been read: closed, not open."""
        if self._keys is None:
            self.refresh()
        return self._keys or {}


def _hash(secret: str) -> str:
    return hashlib.sha256(secret.encode()).hexdigest()
