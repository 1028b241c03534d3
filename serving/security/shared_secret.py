"""A secret that all machines of a service share through the database: made by the first that asks for it."""

import secrets

import sqlalchemy as sql

from serving.ledger.database import upsert
from serving.ledger.schema import SHARED_SECRETS
from serving.security.sessions import SECRET_BYTES

SESSIONS = "sessions"


def read_or_create_shared_secret(engine: sql.Engine, name: str = SESSIONS) -> bytes:
    """The secret of this name; the same for every process that uses the database."""
    stored = sql.select(SHARED_SECRETS.c.secret).where(SHARED_SECRETS.c.name == name)
    with engine.begin() as connection:
        secret = connection.execute(stored).scalar()
        if secret is None:
            new = upsert(SHARED_SECRETS, engine).values(name=name, secret=secrets.token_bytes(SECRET_BYTES))
            connection.execute(new.on_conflict_do_nothing())
            secret = connection.execute(stored).scalar_one()
    return bytes(secret)
