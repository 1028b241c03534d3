"""The packed online store: on Feast's interfaces, one row per account and view instead of one per value.

Feast's standard stores turn every value into a protobuf and a row of its own. Here a view's numbers are one packed
vector of float64 and its categories one JSON list, beside the instant they are of; materialising hands the whole Arrow
table over. Registry, feature service, `materialize` and `get_online_features` work on it as on any other store.
"""

# pyright: reportOptionalMemberAccess=false
# (Feast types a view's source and the store's settings as optional; here both are always given)

import json
import os
import sqlite3
import threading
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pyarrow as pa
from feast import Entity, FeatureView, RepoConfig
from feast.infra.common.materialization_job import MaterializationJobStatus, MaterializationTask
from feast.infra.compute_engines.local.compute import LocalComputeEngine
from feast.infra.compute_engines.local.job import LocalMaterializationJob
from feast.infra.online_stores.online_store import OnlineStore
from feast.infra.registry.base_registry import BaseRegistry
from feast.protos.feast.types.EntityKey_pb2 import EntityKey
from feast.protos.feast.types.Value_pb2 import Value
from feast.repo_config import FeastConfigBaseModel
from feast.types import Float64

from features.store.online_reader import Layout

BUSY_SECONDS = 10
IDS_A_QUERY = 900  # SQLite binds at most 999 values in old builds
Written = tuple[EntityKey, dict[str, Value], datetime, datetime | None]
Read = tuple[datetime | None, dict[str, Value] | None]


class PackedOnlineStoreConfig(FeastConfigBaseModel):
    """Where the packed store keeps its rows."""

    type: Literal["features.store.packed_online_store.PackedOnlineStore"] = (
        "features.store.packed_online_store.PackedOnlineStore"
    )
    path: str


class PackedEngineConfig(FeastConfigBaseModel):
    """The engine that materialises into the packed store."""

    type: Literal["features.store.packed_online_store.PackedEngine"] = "features.store.packed_online_store.PackedEngine"


@dataclass(frozen=True)
class PackedRows:
    """One view of some accounts in the order asked: `numbers` (accounts, names), `as_of` in seconds, 0 for no row."""

    layout: Layout
    numbers: np.ndarray
    categories: list[list[str | None]]
    as_of: np.ndarray


class PackedOnlineStore(OnlineStore):
    """Feast's online store on SQLite, a packed row per account and view."""

    def __init__(self) -> None:
        self._connections = threading.local()

    def write_arrow(self, config: RepoConfig, view: FeatureView, rows: pa.Table) -> None:
        """Write the rows of one view, all of them or none."""
        layout, key = layout_of(view), view.join_keys[0]
        packed = np.column_stack([_floats(rows[name]) for name in layout.numbers]) if layout.numbers else None
        blobs = _blobs(packed, rows.num_rows)
        words = zip(*(rows[name].to_pylist() for name in layout.categories), strict=True) if layout.categories else None
        texts = [json.dumps(one) for one in words] if words else [None] * rows.num_rows
        stamps = rows[view.batch_source.timestamp_field].cast(pa.timestamp("s", tz="UTC")).cast(pa.int64()).to_pylist()
        self._insert(config, layout, zip(rows[key].to_pylist(), stamps, blobs, texts, strict=True))

    def read_rows(self, config: RepoConfig, view: FeatureView, account_ids: Sequence[str]) -> PackedRows:
        """The rows of one view as arrays, without a protobuf per value."""
        layout, at = layout_of(view), {account_id: place for place, account_id in enumerate(account_ids)}
        numbers = np.full((len(account_ids), len(layout.numbers)), np.nan)
        categories: list[list[str | None]] = [[None] * len(layout.categories) for _ in account_ids]
        as_of = np.zeros(len(account_ids), dtype="int64")
        for account_id, stamp, blob, text in self._select(config, layout, list(at)):
            place = at[account_id]
            as_of[place] = stamp
            numbers[place] = np.frombuffer(blob, dtype="float64")
            categories[place] = json.loads(text) if text else categories[place]
        return PackedRows(layout, numbers, categories, as_of)

    def online_write_batch(
        self, config: RepoConfig, table: FeatureView, data: list[Written], progress: Callable[[int], Any] | None
    ) -> None:
        """Write rows as Feast hands them over, value by value."""
        layout = layout_of(table)
        self._insert(config, layout, [_packed(layout, *written[:3]) for written in data])
        if progress:
            progress(len(data))

    def online_read(
        self,
        config: RepoConfig,
        table: FeatureView,
        entity_keys: list[EntityKey],
        requested_features: list[str] | None = None,
    ) -> list[Read]:
        """Read rows as Feast asks for them, value by value."""
        ids = [key.entity_values[0].string_val for key in entity_keys]
        # An id may be asked for twice; arrays hold it once.
        distinct = list(dict.fromkeys(ids))
        found = self.read_rows(config, table, distinct)
        by_id = {one: _unpacked(found, place, requested_features) for place, one in enumerate(distinct)}
        return [by_id[one] for one in ids]

    def update(  # noqa: PLR0913, PLR0917 - the signature is Feast's
        self,
        config: RepoConfig,
        tables_to_delete: Sequence[FeatureView],
        tables_to_keep: Sequence[FeatureView],
        entities_to_delete: Sequence[Entity],
        entities_to_keep: Sequence[Entity],
        partial: bool,
    ) -> None:
        """Make a table for each view; tables of views that are gone are dropped."""
        del entities_to_delete, entities_to_keep, partial
        with self._connection(config) as connection:
            for view in tables_to_keep:
                connection.execute(_create(layout_of(view)))
            for view in tables_to_delete:
                connection.execute(f'drop table if exists "{layout_of(view).table}"')

    def keep_only(self, config: RepoConfig, views: Iterable[FeatureView]) -> None:
        """Drop every table but those of these views as they are laid out now."""
        kept = {layout_of(view).table for view in views}
        with self._connection(config) as connection:
            there = connection.execute("select name from sqlite_master where type = 'table'").fetchall()
            for (table,) in there:
                if table not in kept:
                    connection.execute(f'drop table "{table}"')

    def teardown(self, config: RepoConfig, tables: Sequence[FeatureView], entities: Sequence[Entity]) -> None:
        """Remove the file."""
        del tables, entities
        Path(config.online_store.path).unlink(missing_ok=True)

    def _connection(self, config: RepoConfig) -> sqlite3.Connection:
        # A SQLite connection belongs to one thread and must not cross a fork.
        mine = getattr(self._connections, "mine", None)
        if mine is None or mine[0] != (os.getpid(), config.online_store.path):
            connection = sqlite3.connect(config.online_store.path, timeout=BUSY_SECONDS)
            connection.execute("pragma journal_mode=wal")
            connection.execute("pragma synchronous=normal")
            mine = self._connections.mine = ((os.getpid(), config.online_store.path), connection)
        return mine[1]

    def _insert(self, config: RepoConfig, layout: Layout, rows: Iterable[tuple]) -> None:
        with self._connection(config) as connection:
            connection.execute(_create(layout))
            connection.executemany(f'insert or replace into "{layout.table}" values (?, ?, ?, ?)', rows)

    def _select(self, config: RepoConfig, layout: Layout, ids: list[str]) -> list[tuple]:
        connection, found = self._connection(config), []
        for start in range(0, len(ids), IDS_A_QUERY):
            some = ids[start : start + IDS_A_QUERY]
            marks = ",".join("?" * len(some))
            query = f'select account_id, as_of, numbers, categories from "{layout.table}" where account_id in ({marks})'
            found += connection.execute(query, some).fetchall()
        return found


class PackedEngine(LocalComputeEngine):
    """Feast's local engine, except that a materialised view goes to the packed store as one Arrow table."""

    def _materialize_one(
        self, registry: BaseRegistry, task: MaterializationTask, **kwargs: Any
    ) -> LocalMaterializationJob:
        del registry, kwargs
        view = task.feature_view
        assert isinstance(view, FeatureView)
        assert view.batch_source is not None
        assert isinstance(self.online_store, PackedOnlineStore)
        rows = self.offline_store.pull_latest_from_table_or_query(
            config=self.repo_config,
            data_source=view.batch_source,
            join_key_columns=view.join_keys,
            feature_name_columns=[one.name for one in view.features],
            timestamp_field=view.batch_source.timestamp_field,
            created_timestamp_column=None,
            start_date=task.start_time,
            end_date=task.end_time,
        ).to_arrow()
        self.online_store.write_arrow(self.repo_config, view, rows)
        return LocalMaterializationJob(job_id=f"{view.name}-{task.end_time}", status=MaterializationJobStatus.SUCCEEDED)


def layout_of(view: FeatureView) -> Layout:
    """Where each of a view's values stands in its packed rows."""
    numbers = tuple(one.name for one in view.features if one.dtype == Float64)
    return Layout(view.name, numbers, tuple(one.name for one in view.features if one.name not in numbers))


def _create(layout: Layout) -> str:
    columns = "account_id text primary key, as_of integer not null, numbers blob not null, categories text"
    return f'create table if not exists "{layout.table}" ({columns}) without rowid'


def _floats(column: pa.ChunkedArray) -> np.ndarray:
    return column.cast(pa.float64()).to_numpy(zero_copy_only=False)


def _blobs(matrix: np.ndarray | None, rows: int) -> list[bytes]:
    """Each row of the matrix as bytes."""
    if matrix is None:
        return [b""] * rows
    width, buffer = matrix.shape[1] * 8, np.ascontiguousarray(matrix, dtype="float64").tobytes()
    return [buffer[start : start + width] for start in range(0, len(buffer), width)]


def _packed(layout: Layout, key: EntityKey, values: dict[str, Value], stamp: datetime) -> tuple:
    numbers = [values[name].double_val if _is_set(values.get(name)) else np.nan for name in layout.numbers]
    words = [values[name].string_val if _is_set(values.get(name)) else None for name in layout.categories]
    at = int(stamp.replace(tzinfo=stamp.tzinfo or UTC).timestamp())
    return key.entity_values[0].string_val, at, np.array(numbers).tobytes(), json.dumps(words) if words else None


def _is_set(value: Value | None) -> bool:
    return value is not None and value.WhichOneof("val") is not None


def _unpacked(rows: PackedRows, place: int, wanted: list[str] | None) -> Read:
    if rows.as_of[place] == 0:
        return None, None
    numbers = zip(rows.layout.numbers, rows.numbers[place], strict=True)
    words = zip(rows.layout.categories, rows.categories[place], strict=True)
    values = {name: Value() if np.isnan(number) else Value(double_val=float(number)) for name, number in numbers}
    values |= {name: Value() if word is None else Value(string_val=word) for name, word in words}
    named = {name: value for name, value in values.items() if wanted is None or name in wanted}
    return datetime.fromtimestamp(int(rows.as_of[place]), UTC), named
