"""The packed online store: on Feast's interfaces, one row per account and view instead of one per value.

Feast's standard stores turn every value into a protobuf and a row of its own. Here a row has a view's numbers as one
packed vector of float64, its categories as one JSON list, and their timestamp. Materialization writes a whole Arrow
table. Registry, feature service, `materialize` and `get_online_features` work on it as on any other store.
"""

# pyright: reportOptionalMemberAccess=false
# (Feast types a view's source and the store's settings as optional; here both are always set)

import json
import os
import sqlite3
import threading
from collections.abc import Callable, Iterable, Sequence
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pyarrow as pa

from configs.stored_files import sqlite_fault
from features.store.feast_import import without_type_checks
from features.store.online_reader import Layout

with without_type_checks():
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

BUSY_TIMEOUT_SECONDS = 10
IDS_PER_QUERY = 900  # old builds of SQLite bind at most 999 values
COLUMNS = {
    "account_id": "text primary key",
    "as_of": "integer not null",
    "numbers": "blob not null",
    "categories": "text",
}
WriteRow = tuple[EntityKey, dict[str, Value], datetime, datetime | None]
PackedRow = tuple[str, int, bytes, str | None]  # id, as_of in seconds, numbers, categories as JSON
ReadRow = tuple[datetime | None, dict[str, Value] | None]


class PackedOnlineStoreConfig(FeastConfigBaseModel):
    """The SQLite file of the packed store."""

    type: Literal["features.store.packed_online_store.PackedOnlineStore"] = (
        "features.store.packed_online_store.PackedOnlineStore"
    )
    path: str


class PackedComputeEngineConfig(FeastConfigBaseModel):
    """The compute engine that materializes into the packed store."""

    type: Literal["features.store.packed_online_store.PackedComputeEngine"] = (
        "features.store.packed_online_store.PackedComputeEngine"
    )


@dataclass(frozen=True)
class PackedRows:
    """One view of some accounts in the requested order: `numbers` (accounts, names), `as_of` in seconds or 0."""

    layout: Layout
    numbers: np.ndarray
    categories: list[list[str | None]]
    as_of: np.ndarray


class PackedOnlineStore(OnlineStore):
    """Feast's online store on SQLite, with a packed row per account and view."""

    def __init__(self) -> None:
        self._threads = threading.local()

    def write_arrow(self, config: RepoConfig, view: FeatureView, rows: pa.Table) -> None:
        """Write the rows of one view in one transaction."""
        layout, key = layout_of(view), view.join_keys[0]
        packed = np.column_stack([_floats(rows[name]) for name in layout.numbers]) if layout.numbers else None
        blobs = _blobs(packed, rows.num_rows)
        categories = zip(*(rows[name].to_pylist() for name in layout.categories), strict=True)
        texts = [json.dumps(row) for row in categories] if layout.categories else [None] * rows.num_rows
        seconds = rows[view.batch_source.timestamp_field].cast(pa.timestamp("s", tz="UTC")).cast(pa.int64()).to_pylist()
        self._insert(config, layout, zip(rows[key].to_pylist(), seconds, blobs, texts, strict=True))

    def read_rows(self, config: RepoConfig, view: FeatureView, account_ids: Sequence[str]) -> PackedRows:
        """The rows of one view as arrays, without a protobuf per value; ids must be distinct."""
        layout, indices = layout_of(view), {account_id: index for index, account_id in enumerate(account_ids)}
        numbers = np.full((len(account_ids), len(layout.numbers)), np.nan)
        categories: list[list[str | None]] = [[None] * len(layout.categories) for _ in account_ids]
        as_of = np.zeros(len(account_ids), dtype="int64")
        for account_id, seconds, blob, text in self._select(config, layout, list(indices)):
            index = indices[account_id]
            as_of[index] = seconds
            numbers[index] = np.frombuffer(blob, dtype="float64")
            categories[index] = json.loads(text) if text else categories[index]
        return PackedRows(layout, numbers, categories, as_of)

    def online_write_batch(
        self, config: RepoConfig, table: FeatureView, data: list[WriteRow], progress: Callable[[int], object] | None
    ) -> None:
        """Write rows as Feast passes them, value by value."""
        layout = layout_of(table)
        self._insert(config, layout, [_pack(layout, *row[:3]) for row in data])
        if progress:
            progress(len(data))

    def online_read(
        self,
        config: RepoConfig,
        table: FeatureView,
        entity_keys: list[EntityKey],
        requested_features: list[str] | None = None,
    ) -> list[ReadRow]:
        """Read rows as Feast requests them, value by value."""
        ids = [key.entity_values[0].string_val for key in entity_keys]
        distinct = list(dict.fromkeys(ids))
        rows = self.read_rows(config, table, distinct)
        by_id = {account_id: _unpack(rows, index, requested_features) for index, account_id in enumerate(distinct)}
        return [by_id[account_id] for account_id in ids]

    def update(  # noqa: PLR0913, PLR0917 - the signature is Feast's
        self,
        config: RepoConfig,
        tables_to_delete: Sequence[FeatureView],
        tables_to_keep: Sequence[FeatureView],
        entities_to_delete: Sequence[Entity],
        entities_to_keep: Sequence[Entity],
        partial: bool,
    ) -> None:
        """Create a table for each view, and drop the tables of views to delete."""
        del entities_to_delete, entities_to_keep, partial
        with self._connection(config) as connection:
            for view in tables_to_keep:
                connection.execute(_create(layout_of(view)))
            for view in tables_to_delete:
                connection.execute(f'drop table if exists "{layout_of(view).table}"')

    def drop_other_tables(self, config: RepoConfig, views: Iterable[FeatureView]) -> None:
        """Drop every table except those of these views in their current layout."""
        current = {layout_of(view).table for view in views}
        with self._connection(config) as connection:
            tables = connection.execute("select name from sqlite_master where type = 'table'").fetchall()
            for (table,) in tables:
                if table not in current:
                    connection.execute(f'drop table "{table}"')

    def teardown(self, config: RepoConfig, tables: Sequence[FeatureView], entities: Sequence[Entity]) -> None:
        """Remove the file."""
        del tables, entities
        self._file(config).unlink(missing_ok=True)

    @staticmethod
    def _file(config: RepoConfig) -> Path:
        """The file; a path that is not absolute is below the folder of the repository."""
        return Path(config.repo_path or "", config.online_store.path)

    def _connection(self, config: RepoConfig) -> sqlite3.Connection:
        # A SQLite connection belongs to one thread and must not cross a fork.
        file = self._file(config)
        key = (os.getpid(), file)
        cached = getattr(self._threads, "connection", None)
        if cached is None or cached[0] != key:
            connection = sqlite3.connect(file, timeout=BUSY_TIMEOUT_SECONDS)
            connection.execute("pragma journal_mode=wal")
            connection.execute("pragma synchronous=normal")
            cached = self._threads.connection = (key, connection)
        return cached[1]

    def _insert(self, config: RepoConfig, layout: Layout, rows: Iterable[PackedRow]) -> None:
        with self._connection(config) as connection:
            connection.execute(_create(layout))
            connection.executemany(f'insert or replace into "{layout.table}" values (?, ?, ?, ?)', rows)

    def _select(self, config: RepoConfig, layout: Layout, ids: list[str]) -> list[PackedRow]:
        connection, rows = self._connection(config), []
        for start in range(0, len(ids), IDS_PER_QUERY):
            chunk = ids[start : start + IDS_PER_QUERY]
            marks = ",".join("?" * len(chunk))
            query = f'select account_id, as_of, numbers, categories from "{layout.table}" where account_id in ({marks})'
            rows += connection.execute(query, chunk)
        return rows


class PackedComputeEngine(LocalComputeEngine):
    """Feast's local compute engine, except that it writes a view to the packed store as one Arrow table."""

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
            feature_name_columns=[feature.name for feature in view.features],
            timestamp_field=view.batch_source.timestamp_field,
            created_timestamp_column=None,
            start_date=task.start_time,
            end_date=task.end_time,
        ).to_arrow()
        self.online_store.write_arrow(self.repo_config, view, rows)
        return LocalMaterializationJob(job_id=f"{view.name}-{task.end_time}", status=MaterializationJobStatus.SUCCEEDED)


def is_online_store(file: Path) -> bool:
    """Whether a file is a packed online store, whole, or does not exist; raises sqlite3.Error if it is locked."""
    if not file.exists():
        return True
    try:
        with closing(sqlite3.connect(file, timeout=BUSY_TIMEOUT_SECONDS)) as connection:
            tables = [row[0] for row in connection.execute("select name from sqlite_master where type = 'table'")]
            columns = [[row[1] for row in connection.execute(f'pragma table_info("{table}")')] for table in tables]
            is_whole = connection.execute("pragma quick_check(1)").fetchone() == ("ok",)
    except sqlite3.Error as error:
        if sqlite_fault(error, file, "") is None:
            raise
        return False
    return is_whole and all(names == list(COLUMNS) for names in columns)


def layout_of(view: FeatureView) -> Layout:
    """The signals in the packed rows of a view."""
    numbers = tuple(feature.name for feature in view.features if feature.dtype == Float64)
    categories = tuple(feature.name for feature in view.features if feature.name not in numbers)
    return Layout(view.name, numbers, categories)


def _create(layout: Layout) -> str:
    columns = ", ".join(f"{name} {kind}" for name, kind in COLUMNS.items())
    return f'create table if not exists "{layout.table}" ({columns}) without rowid'


def _floats(column: pa.ChunkedArray) -> np.ndarray:
    return column.cast(pa.float64()).to_numpy(zero_copy_only=False)


def _blobs(matrix: np.ndarray | None, rows: int) -> list[bytes]:
    """Each row of the matrix as bytes."""
    if matrix is None:
        return [b""] * rows
    width, buffer = matrix.shape[1] * 8, np.ascontiguousarray(matrix, dtype="float64").tobytes()
    return [buffer[start : start + width] for start in range(0, len(buffer), width)]


def _pack(layout: Layout, key: EntityKey, values: dict[str, Value], at: datetime) -> PackedRow:
    numbers = [values[name].double_val if _is_set(values.get(name)) else np.nan for name in layout.numbers]
    categories = [values[name].string_val if _is_set(values.get(name)) else None for name in layout.categories]
    seconds = int(at.replace(tzinfo=at.tzinfo or UTC).timestamp())
    text = json.dumps(categories) if categories else None
    return key.entity_values[0].string_val, seconds, np.array(numbers).tobytes(), text


def _is_set(value: Value | None) -> bool:
    return value is not None and value.WhichOneof("val") is not None


def _unpack(rows: PackedRows, index: int, requested: list[str] | None) -> ReadRow:
    if rows.as_of[index] == 0:
        return None, None
    numbers = zip(rows.layout.numbers, rows.numbers[index], strict=True)
    categories = zip(rows.layout.categories, rows.categories[index], strict=True)
    values = {name: Value() if np.isnan(number) else Value(double_val=float(number)) for name, number in numbers}
    values |= {name: Value() if text is None else Value(string_val=text) for name, text in categories}
    selected = {name: value for name, value in values.items() if requested is None or name in requested}
    return datetime.fromtimestamp(int(rows.as_of[index]), UTC), selected
