"""The packed online store in Redis: on Feast's interface, a hash per account with one packed field per view.

It has the rows of `features/store/packed_online_store.py`. Feast writes the generation that the configuration names,
and reads the published one.
"""

# pyright: reportOptionalMemberAccess=false
# (Feast types the store's settings as optional; here they are always set)

from collections.abc import Iterable, Sequence
from typing import Literal

from features.online.redis_connection import connect, store_errors
from features.online.redis_rows import (
    ROWS_PER_CALL,
    RedisKeys,
    chunks,
    fetch_pointer,
    pack_cell,
    read_pointer,
    row_seconds,
    unpack_cell,
    write_cells,
)
from features.store.feast_import import without_type_checks
from features.store.online_reader import Layout
from features.store.packed_online_store import PackedOnlineStore, PackedRow

with without_type_checks():
    from feast import Entity, FeatureView, RepoConfig
    from feast.repo_config import FeastConfigBaseModel


class PackedRedisOnlineStoreConfig(FeastConfigBaseModel):
    """The server of the packed store, its keys, and the generation to write; reads are of the published one."""

    type: Literal["features.online.redis_online_store.PackedRedisOnlineStore"] = (
        "features.online.redis_online_store.PackedRedisOnlineStore"
    )
    url: str
    prefix: str
    expire_days: int
    generation: str = ""


class PackedRedisOnlineStore(PackedOnlineStore):
    """Feast's online store on Redis, with a packed field per account and view."""

    def update(  # noqa: PLR0913, PLR0917 - the signature is Feast's
        self,
        config: RepoConfig,
        tables_to_delete: Sequence[FeatureView],
        tables_to_keep: Sequence[FeatureView],
        entities_to_delete: Sequence[Entity],
        entities_to_keep: Sequence[Entity],
        partial: bool,
    ) -> None:
        """Nothing: a view is a field, and each publication writes new rows."""

    def drop_other_tables(self, config: RepoConfig, views: Iterable[FeatureView]) -> None:
        """Nothing: the fields of other views went with the generation before."""

    def teardown(self, config: RepoConfig, tables: Sequence[FeatureView], entities: Sequence[Entity]) -> None:
        """Remove every key."""
        del tables, entities
        with store_errors():
            client = connect(config.online_store.url)
            for keys in chunks(client.scan_iter(match=f"{config.online_store.prefix}:*"), ROWS_PER_CALL):
                client.unlink(*keys)

    def _insert(self, config: RepoConfig, layout: Layout, rows: Iterable[PackedRow]) -> None:
        keys, generation = RedisKeys(config.online_store.prefix), _generation(config)
        cells = (
            (keys.row(generation, account_id), layout.table, pack_cell(as_of, numbers, categories))
            for account_id, as_of, numbers, categories in rows
        )
        with store_errors():
            write_cells(connect(config.online_store.url), cells, row_seconds(config.online_store.expire_days))

    def _select(self, config: RepoConfig, layout: Layout, ids: list[str]) -> list[PackedRow]:
        keys, generation = RedisKeys(config.online_store.prefix), _generation(config)
        rows: list[PackedRow] = []
        with store_errors(), connect(config.online_store.url).pipeline(transaction=True) as pipe:
            for account_id in ids:
                pipe.hget(keys.row(generation, account_id), layout.table)
            for account_id, cell in zip(ids, pipe.execute(), strict=True):
                as_of, numbers, categories = unpack_cell(cell, len(layout.numbers))
                if as_of is not None and numbers is not None:
                    rows.append((account_id, as_of, numbers, categories))
        return rows


def _generation(config: RepoConfig) -> str:
    """The generation that is written, or else the published one; raises NotReady if there is none."""
    if config.online_store.generation:
        return config.online_store.generation
    with store_errors():
        client, keys = connect(config.online_store.url), RedisKeys(config.online_store.prefix)
        return read_pointer(fetch_pointer(client, keys)).generation
