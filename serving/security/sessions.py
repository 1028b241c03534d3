"""Sessions of people: a signed cookie that names the API key a person signed in with, and the tokens of their forms.

The cookie holds no secret. Each request checks the key again, so a revoked key ends its sessions at once.
"""

import hashlib
import secrets
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cached_property
from pathlib import Path

from itsdangerous import BadSignature, URLSafeSerializer

from configs.errors import RequestError
from configs.files import atomic_write, awaited_lock

SESSION_HOURS = 12
SECRET_BYTES = 32
SIGNING = {"key_derivation": "hmac", "digest_method": hashlib.sha256}


@dataclass(frozen=True)
class Session:
    """Who is signed in (the id of a key, empty for nobody), a random value for the tokens of forms, and the end."""

    key_id: str
    nonce: str
    ends_at: datetime


@dataclass(frozen=True)
class SessionSigner:
    """Signs and reads sessions with a secret that all processes share; `read_secret` gives it when it is needed."""

    read_secret: Callable[[], bytes]
    clock: Callable[[], datetime]

    def open(self, key_id: str = "") -> Session:
        """A new session."""
        return Session(key_id, secrets.token_urlsafe(16), self.clock() + timedelta(hours=SESSION_HOURS))

    def to_cookie(self, session: Session) -> str:
        """The value of the session's cookie."""
        return str(self._sessions.dumps([session.key_id, session.nonce, session.ends_at.isoformat()]))

    def from_cookie(self, cookie: str) -> Session | None:
        """The session in a cookie; None if it is not of ours, or has ended."""
        try:
            key_id, nonce, ends_at = self._sessions.loads(cookie)
        except BadSignature:
            return None
        session = Session(key_id, nonce, datetime.fromisoformat(ends_at))
        return session if self.clock() < session.ends_at else None

    def form_token(self, session: Session) -> str:
        """The token that a form of this session sends back."""
        return str(self._forms.dumps(session.nonce))

    def require_form_token(self, session: Session, token: str) -> None:
        """Raise RequestError (403) unless a form of this session sent the token."""
        try:
            is_own = secrets.compare_digest(str(self._forms.loads(token)), session.nonce)
        except BadSignature:
            is_own = False
        if not is_own:
            hint = "Load the page again, and send the form from there."
            raise RequestError("The form is not of this session.", hint, code="form_token", status=403)

    @cached_property
    def _sessions(self) -> URLSafeSerializer:
        return URLSafeSerializer(self._secret, salt="oarlock session", signer_kwargs=SIGNING)

    @cached_property
    def _forms(self) -> URLSafeSerializer:
        return URLSafeSerializer(self._secret, salt="oarlock form", signer_kwargs=SIGNING)

    @cached_property
    def _secret(self) -> bytes:
        return self.read_secret()


def read_or_create_secret(file: Path) -> bytes:
    """The random secret in a file, made if it is missing: by one of several processes that start together.

    A file of another size was damaged, and its rest could be guessed: it is replaced, and people sign in again. Nothing
    is written if the secret is there, so the folder may be read-only or another user's.
    """
    if secret := _read_secret(file):
        return secret
    file.parent.mkdir(parents=True, exist_ok=True)
    with awaited_lock(file.with_name(f"{file.name}.lock")):
        if secret := _read_secret(file):
            return secret
        with atomic_write(file) as temporary:
            temporary.touch(0o600)
            temporary.write_bytes(secrets.token_bytes(SECRET_BYTES))
        return file.read_bytes()


def _read_secret(file: Path) -> bytes | None:
    secret = file.read_bytes() if file.exists() else b""
    return secret if len(secret) == SECRET_BYTES else None
