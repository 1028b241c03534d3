"""What a Redis says of itself, and whether the keys of a state folder are all there and expire."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from configs.state_dir import StateDir
from features.online.online_store import connect_online_store
from features.online.redis_connection import store_errors
from features.online.redis_rows import ROWS_PER_CALL, RedisKeys, chunks, fetch_pointer, keys_of, read_pointer

if TYPE_CHECKING:
    from redis import Redis

NEVER_EXPIRES = -1  # what Redis answers for the time that such a key has left


@dataclass(frozen=True)
class RedisServer:
    """The version of a server, and what it does when its memory is full; `maxmemory` is in bytes, 0 for no limit."""

    version: str
    maxmemory: int
    eviction_policy: str
    used_bytes: int


@dataclass(frozen=True)
class RedisContent:
    """The keys of a state folder: rows of the published generation, rows of others, and keys that never expire."""

    rows: int
    other_rows: int
    without_expiry: tuple[str, ...]


def read_redis_server(state: StateDir) -> RedisServer | None:
    """The server of the online store; None if that is a file. Raises StoreDown if it cannot be reached."""
    client = connect_online_store(state)
    if client is None:
        return None
    with store_errors():
        server, memory = client.info("server"), client.info("memory")
    return RedisServer(
        version=str(server["redis_version"]),
        maxmemory=int(memory.get("maxmemory", 0)),
        eviction_policy=str(memory.get("maxmemory_policy", "noeviction")),
        used_bytes=int(memory["used_memory"]),
    )


def read_redis_content(state: StateDir) -> RedisContent | None:
    """The keys of a state folder; None if the online store is a file.

    Raises StoreDown if Redis cannot be reached, NotReady if nothing is published there.
    """
    client = connect_online_store(state)
    if client is None:
        return None
    keys = keys_of(state)
    with store_errors():
        generation = read_pointer(fetch_pointer(client, keys)).generation
        counts = Counter(key.startswith(keys.rows(generation)) for key in _row_keys(client, keys))
        return RedisContent(counts[True], counts[False], tuple(_without_expiry(client, keys)))


def _row_keys(client: "Redis", keys: RedisKeys) -> Iterator[bytes]:
    return client.scan_iter(match=f"{keys.prefix}:row:*", count=ROWS_PER_CALL)


def _without_expiry(client: "Redis", keys: RedisKeys) -> Iterator[str]:
    """The keys that never expire; that of departed accounts holds no signals, and may stay."""
    for names in chunks(client.scan_iter(match=f"{keys.prefix}:*", count=ROWS_PER_CALL), ROWS_PER_CALL):
        with client.pipeline(transaction=False) as pipe:
            for name in names:
                pipe.ttl(name)
            for name, seconds in zip(names, pipe.execute(), strict=True):
                if seconds == NEVER_EXPIRES and name != keys.departed.encode():
                    yield name.decode("utf-8", "replace")
