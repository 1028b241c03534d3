"""The account table and the revenue table in Redis, from where every machine takes a copy of its own.

A copy is replaced whenever the tables changed: at a publication, and when an account was erased from them. The note of
the publication is written last, so that what reads it finds the tables.
"""

import uuid
from pathlib import Path
from typing import TYPE_CHECKING

from configs.files import atomic_write, write_json
from configs.state_dir import StateDir
from features.online.redis_connection import store_errors
from features.online.redis_rows import RedisKeys, fetch_pointer, keys_of, parse_pointer

if TYPE_CHECKING:
    from redis import Redis
    from redis.client import Pipeline
    from redis.typing import EncodableT, FieldT

REVISION = "revision"


def write_tables(client: "Redis | Pipeline", keys: RedisKeys, generation: str, state: StateDir) -> str:
    """Write the tables of this state folder beside the rows of a generation; returns their revision."""
    revision = uuid.uuid4().hex
    content: dict[FieldT, EncodableT] = {file.name: file.read_bytes() for file in _tables(state) if file.exists()}
    client.hset(keys.tables(generation), mapping={**content, REVISION: revision})
    return revision


def note_revision(state: StateDir, revision: str) -> None:
    """Note that this state folder has the tables of a revision."""
    with atomic_write(_revision_file(state)) as temporary:
        temporary.write_text(revision)


def pull_tables(client: "Redis", state: StateDir) -> bool:
    """Replace the tables and the note of this state folder by those in Redis; False if there are no others.

    Raises StoreDown if Redis cannot be used.
    """
    keys = keys_of(state)
    with store_errors():
        published = parse_pointer(fetch_pointer(client, keys))
        if published is None:
            return False
        tables = keys.tables(published.generation)
        revision = client.hget(tables, REVISION)
        if revision is None or _as_bytes(revision).decode() == _noted_revision(state):
            return False  # without one, another publication has just replaced this one
        content = client.hgetall(tables)
    if REVISION.encode() not in content:  # replaced between the two reads
        return False
    for file in _tables(state):
        _replace(file, content.get(file.name.encode()))
    write_json(state.publication, published.publication)
    note_revision(state, _as_bytes(content[REVISION.encode()]).decode())
    return True


def _tables(state: StateDir) -> tuple[Path, ...]:
    return state.account_table, state.revenue_table


def _replace(file: Path, content: object) -> None:
    if content is None:
        file.unlink(missing_ok=True)
        return
    with atomic_write(file) as temporary:
        temporary.write_bytes(_as_bytes(content))


def _revision_file(state: StateDir) -> Path:
    return state.feast / "tables_revision"


def _noted_revision(state: StateDir) -> str:
    file = _revision_file(state)
    return file.read_text() if file.exists() else ""


def _as_bytes(value: object) -> bytes:
    assert isinstance(value, bytes)  # the client decodes nothing
    return value
