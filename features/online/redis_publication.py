"""A publication into Redis: it begins a generation, becomes what is read in one step, and removes the ones before."""

import json
import uuid
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from redis.exceptions import WatchError

from configs.errors import Busy
from configs.state_dir import StateDir
from features.online.redis_connection import require_no_eviction, store_errors
from features.online.redis_rows import (
    DAY_SECONDS,
    ROWS_PER_CALL,
    PublishedGeneration,
    RedisKeys,
    chunks,
    encode_id,
    fetch_pointer,
    keys_of,
    parse_pointer,
    row_seconds,
)
from features.online.redis_tables import note_revision, write_tables
from features.store.publication import Publication

if TYPE_CHECKING:
    from redis import Redis


@dataclass(frozen=True)
class RedisPublication:
    """A publication that is being written; `replaced` is what the pointer held when it began."""

    client: "Redis"
    keys: RedisKeys
    expire_days: int
    generation: str
    replaced: bytes | None

    def commit(self, publication: Publication, state: StateDir) -> None:
        """Make this generation the one that is read, with the tables of the state folder beside it.

        Raises Busy if another publication did so since this one began: it may have removed rows of this one.
        """
        pointer = json.dumps(asdict(PublishedGeneration(self.generation, publication)))
        with store_errors(), self.client.pipeline(transaction=True) as pipe:
            pipe.watch(self.keys.published)
            if pipe.get(self.keys.published) != self.replaced:
                raise _overtaken()
            pipe.multi()
            revision = write_tables(pipe, self.keys, self.generation, state)
            pipe.expire(self.keys.tables(self.generation), row_seconds(self.expire_days))
            pipe.set(self.keys.published, pointer, ex=self.expire_days * DAY_SECONDS)
            try:
                pipe.execute()
            except WatchError:
                raise _overtaken() from None
        note_revision(state, revision)

    def remove_others(self, as_of: datetime) -> None:
        """Remove every other generation; accounts that only the replaced one has are noted as departed."""
        with store_errors():
            replaced = parse_pointer(self.replaced)
            for keys in chunks(self._stale_keys(), ROWS_PER_CALL):
                if replaced is not None:
                    self._note_departed(keys, replaced, as_of)
                self.client.unlink(*keys)
            self._forget_returned()

    def _stale_keys(self) -> Iterator[bytes]:
        own = self.keys.rows(self.generation), self.keys.tables(self.generation).encode()
        for kind in ("row", "tables"):
            for key in self.client.scan_iter(match=f"{self.keys.prefix}:{kind}:*", count=ROWS_PER_CALL):
                if not key.startswith(own):
                    yield key

    def _note_departed(self, stale: Sequence[bytes], replaced: PublishedGeneration, as_of: datetime) -> None:
        begin = self.keys.rows(replaced.generation)
        departed = self._without_row(key.removeprefix(begin) for key in stale if key.startswith(begin))
        if departed:
            # What this day no longer has is older than the day, even if an earlier version of the day had it.
            last = min(datetime.fromisoformat(replaced.publication["as_of"]), as_of - timedelta(days=1))
            seconds = int(last.replace(tzinfo=UTC).timestamp())
            self.client.hset(self.keys.departed, mapping=dict.fromkeys(departed, seconds))

    def _without_row(self, account_ids: Iterable[bytes]) -> list[bytes]:
        """The accounts that this generation has no row of."""
        ids, begin = list(account_ids), self.keys.rows(self.generation)
        with self.client.pipeline(transaction=False) as pipe:
            for account_id in ids:
                pipe.exists(begin + account_id)
            return [account_id for account_id, count in zip(ids, pipe.execute(), strict=True) if not count]

    def _forget_returned(self) -> None:
        for departed in chunks(self.client.hscan_iter(self.keys.departed, count=ROWS_PER_CALL), ROWS_PER_CALL):
            ids = [account_id for account_id, _ in departed]
            if returned := {*ids} - {*self._without_row(ids)}:
                self.client.hdel(self.keys.departed, *returned)


def erase_from_redis(client: "Redis", state: StateDir, account_id: str) -> int:
    """Remove an account from every generation, and write the tables again, from which it was removed.

    Returns how many rows were removed; raises StoreDown if Redis cannot be used.
    """
    keys = keys_of(state)
    with store_errors():
        rows = client.scan_iter(match=f"{keys.prefix}:row:*", count=ROWS_PER_CALL)
        removed = sum(client.unlink(key) for key in rows if keys.account_of(key) == encode_id(account_id))
        removed += client.hdel(keys.departed, encode_id(account_id))
        if published := parse_pointer(fetch_pointer(client, keys)):
            note_revision(state, write_tables(client, keys, published.generation, state))
    return removed


def begin_redis_publication(client: "Redis", state: StateDir) -> RedisPublication:
    """A new publication; raises StoreDown if Redis cannot be used, ConfigError if it may drop accounts by itself."""
    keys = keys_of(state)
    with store_errors():
        require_no_eviction(client)
        replaced = fetch_pointer(client, keys)
    return RedisPublication(client, keys, state.stores.online_days, uuid.uuid4().hex[:16], replaced)


def _overtaken() -> Busy:
    return Busy("Another machine published into the same Redis meanwhile.", "Run this again.")
