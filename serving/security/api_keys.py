"""API keys: shown once when they are created, stored as a hash, and compared in constant time.

A key is 32 random bytes, so nobody can guess it from its SHA-256. Slow hashes (argon2, bcrypt) protect passwords, which
people choose; here they would cost each request more than the risk it asks for.
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
    """What is stored of a key; never the secret. With an `owner` it knows that owner's accounts only."""

    id: str
    name: str
    hash: str
    scopes: frozenset[str]
    per_minute: int
    created_at: datetime
    expires_at: datetime | None = None
    revoked_at: datetime | None = None
    owner: str | None = None

    def status(self, at: datetime) -> str:
        """active, expired or revoked."""
        if self.revoked_at:
            return "revoked"
        return "expired" if self.expires_at and self.expires_at <= at else "active"

    def has_scope(self, scope: str) -> bool:
        """Whether the key has a scope; `admin` includes all."""
        return scope in self.scopes or "admin" in self.scopes


def create_key(name: str, scopes: Iterable[str], per_minute: int, created_at: datetime) -> tuple[str, ApiKey]:
    """A new secret, and what is stored of it."""
    key_id = secrets.token_hex(6)
    secret = f"{KEY_PREFIX}_{key_id}_{secrets.token_urlsafe(32)}"
    return secret, ApiKey(key_id, name, _hash(secret), frozenset(scopes), per_minute, created_at)


def save_key(engine: sql.Engine, key: ApiKey) -> None:
    """Store a key."""
    with engine.begin() as connection:
        connection.execute(API_KEYS.insert().values({**vars(key), "scopes": ",".join(sorted(key.scopes))}))


def read_api_keys(engine: sql.Engine) -> list[ApiKey]:
    """Every key ever created, oldest first."""
    with engine.connect() as connection:
        rows = connection.execute(sql.select(API_KEYS).order_by(API_KEYS.c.created_at, API_KEYS.c.id)).mappings()
        return [ApiKey(**{**row, "scopes": frozenset(row["scopes"].split(","))}) for row in rows]


def revoke_key(engine: sql.Engine, key_id: str, at: datetime) -> bool:
    """Revoke a key; False if there is no such key or it is already revoked."""
    active = API_KEYS.c.id == key_id, API_KEYS.c.revoked_at.is_(None)
    with engine.begin() as connection:
        return connection.execute(API_KEYS.update().where(*active).values(revoked_at=at)).rowcount == 1


def verify_key(keys: dict[str, ApiKey], secret: str, at: datetime) -> ApiKey:
    """The key of this secret. Raises RequestError (401) if there is none, or it is expired or revoked."""
    parts = secret.split("_", 2)
    key = keys.get(parts[1]) if len(parts) == 3 else None
    # An unknown id takes as long as a wrong secret, so that the time says nothing about ids.
    if not hmac.compare_digest(_hash(secret), key.hash if key else UNMATCHABLE_HASH) or key is None:
        hint = "Create one with `oarlock keys create`."
        raise RequestError("The API key is not valid.", hint, code="invalid_api_key", status=401)
    require_active(key, at)
    return key


def require_active(key: ApiKey, at: datetime) -> None:
    """Raise RequestError (401) if a key is expired or revoked."""
    status = key.status(at)
    if status != "active":
        hint = "Create a new one with `oarlock keys create`."
        raise RequestError(f"The API key '{key.id}' is {status}.", hint, code=f"key_{status}", status=401)


class KeyCache:
    """The keys of one process, read again every few seconds and never in a request."""

    def __init__(self, engine: Callable[[], sql.Engine]) -> None:
        self._engine = engine
        self._keys: dict[str, ApiKey] | None = None
        self._lock = threading.Lock()

    def refresh(self) -> None:
        """Read the keys. If the database is down, the known keys stay; NotReady is raised if there are none."""
        with self._lock:
            try:
                self._keys = {key.id: key for key in read_api_keys(self._engine())}
            except (DBAPIError, NotReady) as error:
                if self._keys is None:
                    raise _unread_keys() from error

    def keys(self) -> dict[str, ApiKey]:
        """Every key by its id. Raises NotReady if they were never read: requests are then refused."""
        if self._keys is None:
            raise _unread_keys()
        return self._keys


def _unread_keys() -> NotReady:
    return NotReady("Cannot read the API keys.", "Start the database of the ledger.")


def _hash(secret: str) -> str:
    return hashlib.sha256(secret.encode()).hexdigest()
