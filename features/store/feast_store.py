"""The Feast store: its views come from the declared signals; it reads the history and fills the online store.

Feast's terms stay in this module: its entity is our account, a feature a signal, a view a family, the event timestamp
as_of. `asof_offline_store.py` and `packed_online_store.py` are the two stores behind it.
"""

# pyright: reportArgumentType=false
# (Feast declares its list parameters too narrowly for lists of one kind)

import glob
import hashlib
import sqlite3
import warnings
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import duckdb
import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from google.protobuf.message import DecodeError

from configs.errors import DamagedState
from configs.files import JsonObject, atomic_write, write_json
from configs.servers.postgres import watch_postgres, with_driver
from configs.state_dir import StateDir
from configs.stored_files import damaged, damaged_if, read_rebuildable
from features.compute.backends.parquet_files import escape_pattern
from features.signals.base import Signal
from features.store.feast_import import without_type_checks
from features.store.history import TIMESTAMP, HistoryVersion
from features.store.online_reader import ONLINE_FILE, REFILL, remove_online_store
from features.store.packed_online_store import PackedOnlineStore, PackedRows, is_online_store
from features.store.publication import recompute_hint
from features.tables.contract import ACCOUNT_ID

with without_type_checks():
    from feast import Entity, FeatureService, FeatureStore, FeatureView, Field, FileSource, RepoConfig, ValueType
    from feast.data_format import ParquetFormat
    from feast.protos.feast.core.Registry_pb2 import Registry as RegistryProto
    from feast.types import Float64, String

FEATURE_SERVICE = "risk"
ROW = "_row"
ONLINE_TYPE = "features.store.packed_online_store.PackedOnlineStore"
KEPT_MATERIALIZATIONS = 30
PANDAS_TYPES = {"number": "float64", "category": "object"}
FEAST_TYPES = {"number": Float64, "category": String}


@dataclass(frozen=True)
class OnlineRows:
    """The online signals of some accounts, in the requested order.

    `values` has a column per signal; `as_of` (datetime64) is the oldest among an account's families, NaT if it was
    never published.
    """

    values: pd.DataFrame
    as_of: np.ndarray


def open_store(state: StateDir, project: str, generation: str = "") -> FeatureStore:
    """The Feast store of this state: its registry, DuckDB offline, and its online store, of which Redis is written by
    `generation`.

    To be published into: a file of a registry or of an online store that cannot be read is removed, since a publish
    makes it anew.
    """
    registry, online = state.feast / "registry.db", state.feast / ONLINE_FILE
    if FEATURE_SERVICE not in _declared_services(registry):
        registry.unlink(missing_ok=True)
    if not is_online_store(online):
        remove_online_store(online)
    return _open_registry(state, project, _registry_config(state, registry), generation)


def _open_registry(state: StateDir, project: str, registry: Mapping[str, object], generation: str = "") -> FeatureStore:
    state.feast.mkdir(parents=True, exist_ok=True)
    config = _repository_config(project, registry, _online_config(state, generation))
    return FeatureStore(config=RepoConfig(repo_path=state.feast, **config))


def _repository_config(project: str, registry: Mapping[str, object], online: Mapping[str, object]) -> JsonObject:
    return {
        "project": project.replace("-", "_"),
        "provider": "local",
        "registry": dict(registry),
        "offline_store": {"type": "features.store.asof_offline_store.AsofOfflineStore"},
        "online_store": dict(online),
        "batch_engine": {"type": "features.store.packed_online_store.PackedComputeEngine"},
        "entity_key_serialization_version": 3,
    }


def _write_repository(state: StateDir, project: str) -> None:
    """Write the file by which Feast's own commands open the store; none if a server holds a part of it.

    It names no absolute path, and a server would need its password. JSON is YAML, too.
    """
    file = state.feast / "feature_store.yaml"
    if state.stores.online or state.stores.feast_registry:
        file.unlink(missing_ok=True)
        return
    online = {"type": ONLINE_TYPE, "path": ONLINE_FILE}
    write_json(file, _repository_config(project, _file_registry(Path("registry.db")), online))


def _registry_config(state: StateDir, file: Path) -> dict[str, object]:
    """The registry in the database that the settings name, or else in a file."""
    if state.stores.feast_registry is None:
        return _file_registry(file)
    watch_postgres()
    url = state.stores.feast_registry.get_secret_value()
    return {"registry_type": "sql", "path": with_driver(url), "cache_ttl_seconds": 60}


def _file_registry(file: Path) -> dict[str, object]:
    return {"registry_type": "file", "path": str(file), "cache_ttl_seconds": 60}


def _online_config(state: StateDir, generation: str) -> dict[str, object]:
    """The online store in the Redis that the settings name, or else in a file."""
    if state.stores.online is None:
        return {
            "type": ONLINE_TYPE,
            "path": str(state.feast / ONLINE_FILE),
        }
    return {
        "type": "features.online.redis_online_store.PackedRedisOnlineStore",
        "url": state.stores.online.get_secret_value(),
        "prefix": state.online_prefix,
        "expire_days": state.stores.online_days,
        "generation": generation,
    }


def open_history_store(state: StateDir, history: HistoryVersion, project: str) -> FeatureStore:
    """A store whose views read this history, wherever the state folder is now.

    It has a registry of its own, so that reading a history does not change what is published.
    """
    key = hashlib.sha256(f"{history.folder} {_declared_hash(history)}".encode()).hexdigest()[:12]
    registry = state.feast / "histories" / f"{key}.db"
    if FEATURE_SERVICE not in _declared_services(registry):
        with atomic_write(registry) as temporary:
            store = _open_registry(state, project, _file_registry(temporary))
            for view in (views := _views(history)):
                store.registry.apply_feature_view(view, store.project, commit=False)
            store.registry.apply_entity(_account(), store.project, commit=False)
            store.registry.apply_feature_service(FeatureService(name=FEATURE_SERVICE, features=views), store.project)
    return _open_registry(state, project, _file_registry(registry))


def apply_declarations(store: FeatureStore, history: HistoryVersion, state: StateDir) -> bool:
    """Apply the declared signals to the registry; False if they were applied already, which saves seconds.

    Views that this history lacks stay, because readers may still use them: see `drop_stale_views`.
    """
    _write_repository(state, store.project)
    applied_file = state.feast / "applied.json"
    declared = {"history": str(history.folder), "signals": _declared_hash(history)}
    is_applied = FEATURE_SERVICE in {service.name for service in store.list_feature_services()}
    if is_applied and read_rebuildable(applied_file, JsonObject) == declared:
        return False
    views = _views(history)
    store.apply([_account(), *views, FeatureService(name=FEATURE_SERVICE, features=views)])
    write_json(applied_file, declared)
    return True


def drop_stale_views(store: FeatureStore, history: HistoryVersion) -> None:
    """Drop the views and tables of families and layouts that this history, which is now published, does not have."""
    stale = [view for view in store.list_feature_views() if view.name not in history.families]
    if stale:
        store.apply([], objects_to_delete=stale, partial=False)
    _online(store).drop_other_tables(store.config, store.list_feature_views())


def materialize_online(store: FeatureStore, as_of: datetime) -> None:
    """Write the snapshots of one day to the online store; raises DamagedState if the history cannot be read."""
    end = as_of.replace(tzinfo=UTC)
    start, families = end - timedelta(seconds=1), [view.name for view in online_views(store)]
    with _damaged_history(store):
        store.materialize(start_date=start, end_date=end, feature_views=families, disable_event_timestamp=False)
    _drop_old_materializations(store)


def _drop_old_materializations(store: FeatureStore) -> None:
    """Drop what a database keeps of materializations, but for the newest ones; Feast keeps each of them for ever.

    A file of a registry grows by 0.2 kB a publish and is left as it is: Feast cannot replace them in it.
    """
    registry = store.config.registry
    if registry is None or registry.registry_type != "sql":
        return
    for view in store.list_feature_views():
        if len(view.materialization_intervals) >= 2 * KEPT_MATERIALIZATIONS:
            view.materialization_intervals = view.materialization_intervals[-KEPT_MATERIALIZATIONS:]
            store.registry.apply_feature_view(view, store.project)


def tombstone_accounts(store: FeatureStore, history: HistoryVersion, account_ids: list[str], as_of: datetime) -> None:
    """Empty the online rows of accounts that an earlier version of the day had and this one does not.

    Feast cannot delete a row; a row without values that is older than the day reads as an account that is gone.
    """
    for family, signals in history.families.items():
        index = range(len(account_ids))
        empty = {signal.name: pd.Series(dtype=PANDAS_TYPES[signal.kind], index=index) for signal in signals}
        timestamps = pd.Series(as_of.replace(tzinfo=UTC) - timedelta(days=1), index=index)
        rows = pd.DataFrame({ACCOUNT_ID: account_ids, TIMESTAMP: timestamps, **empty})
        # The public `write_to_online_store` rejects rows without any value.
        store._get_provider().ingest_df(store.get_feature_view(family), rows)


def read_historical_signals(store: FeatureStore, snapshots: pd.DataFrame) -> pd.DataFrame:
    """The signals of these snapshots (account_id, as_of), in their order, by Feast's point-in-time join.

    Every snapshot has a row; an account that was never published by then has only missing values. Raises DamagedState
    if a file of the history cannot be read.
    """
    requested = snapshots[[ACCOUNT_ID, "as_of"]].rename(columns={"as_of": TIMESTAMP})
    requested[TIMESTAMP] = pd.to_datetime(requested[TIMESTAMP]).dt.tz_localize("UTC")
    requested[ROW] = range(len(requested))
    service = store.get_feature_service(FEATURE_SERVICE)
    with _damaged_history(store):
        rows = store.get_historical_features(entity_df=requested, features=service).to_arrow().sort_by(ROW)
    values = rows.drop_columns([ACCOUNT_ID, TIMESTAMP, ROW]).to_pandas()
    if len(values) < len(requested):  # Feast's own join drops rows
        values = values.set_axis(rows[ROW].to_numpy()).reindex(range(len(requested)))
    keys = snapshots[[ACCOUNT_ID, "as_of"]].astype({"as_of": "datetime64[us]"}).reset_index(drop=True)
    return pd.concat([keys, values], axis=1)


def online_views(store: FeatureStore) -> list[FeatureView]:
    """The views that signals are read from, as in the registry now; parsing them costs more than reading a row."""
    store.refresh_registry()
    views = store.get_feature_service(FEATURE_SERVICE, allow_cache=True).feature_view_projections
    return [store.registry.get_feature_view(view.name, store.project, allow_cache=True) for view in views]


def read_online_signals(
    store: FeatureStore, account_ids: list[str], views: list[FeatureView] | None = None
) -> OnlineRows:
    """The latest published signals of these accounts, in their order; `views` are those of `online_views`.

    Raises DamagedState if the online store cannot be read.
    """
    online = _online(store)
    file = Path(store.config.repo_path or "", ONLINE_FILE)
    with damaged_if((sqlite3.Error, ValueError, TypeError), file, REFILL):
        packed = [online.read_rows(store.config, view, account_ids) for view in views or online_views(store)]
    seconds = np.array([rows.as_of for rows in packed])
    oldest = np.where(seconds > 0, seconds, np.iinfo("int64").max).min(axis=0).astype("datetime64[s]")
    as_of = np.where((seconds > 0).any(axis=0), oldest, np.datetime64("NaT"))
    return OnlineRows(pd.concat([_to_frame(rows) for rows in packed], axis=1), as_of)


def write_feature_statistics(store: FeatureStore, as_of: datetime) -> int:
    """Write Feast's own statistics of the signals of a day, and return of how many.

    They are where `feast monitor run` writes them, and where Feast's API and pages read them. Raises DamagedState if
    those of a family cannot be computed, which Feast only logs.
    """
    from feast.monitoring.monitoring_service import MonitoringService  # one command of many needs it

    day, views = as_of.date(), store.list_feature_views()
    with warnings.catch_warnings():
        # Feast joins frames in a way that pandas will change.
        warnings.simplefilter("ignore", FutureWarning)
        written = MonitoringService(store).compute_metrics(store.project, start_date=day, end_date=day)
    if written["computed_feature_views"] < len(views):
        raise DamagedState(
            f"Feast could not compute statistics of the signals of {day}: the history of a family cannot be read.",
            recompute_hint(as_of),
        )
    return int(written["computed_features"])


@contextmanager
def _damaged_history(store: FeatureStore) -> Generator[None, None, None]:
    """Raise DamagedState, naming the file, if the history cannot be read because one of its files is damaged."""
    try:
        yield
    except (duckdb.Error, pa.ArrowException, OSError) as error:
        for view in store.list_feature_views():
            source = view.batch_source
            assert isinstance(source, FileSource)
            for file in map(Path, sorted(glob.glob(source.path))):  # noqa: PTH207 - an escaped pattern
                if fault := _parquet_fault(file, view):
                    raise damaged(file, fault, recompute_hint(datetime.fromisoformat(file.parent.name))) from error
        raise


def _parquet_fault(file: Path, view: FeatureView) -> str:
    """Why a file does not hold the rows of a view; empty if it does."""
    try:
        missing = {field.name for field in view.features} - set(pq.read_table(file).column_names)
    except (pa.ArrowException, OSError) as error:
        return str(error)
    return f"it has no column {min(missing)}" if missing else ""


def has_declarations(registry: Path) -> bool:
    """Whether the file of a registry declares the signals that are served."""
    return FEATURE_SERVICE in _declared_services(registry)


def _declared_services(registry: Path) -> set[str]:
    """The feature services in the file of a registry; none if it is missing or cannot be read."""
    try:
        content = RegistryProto.FromString(registry.read_bytes())
    except (FileNotFoundError, DecodeError):
        return set()
    return {service.spec.name for service in content.feature_services}


def _online(store: FeatureStore) -> PackedOnlineStore:
    online = store._get_provider().online_store  # Feast has no public way to its online store
    assert isinstance(online, PackedOnlineStore)
    return online


def _to_frame(rows: PackedRows) -> pd.DataFrame:
    categories = pd.DataFrame(rows.categories, columns=list(rows.layout.categories), dtype=object)
    return pd.concat([pd.DataFrame(rows.numbers, columns=list(rows.layout.numbers)), categories], axis=1)


def _account() -> Entity:
    return Entity(
        name="account", join_keys=[ACCOUNT_ID], value_type=ValueType.STRING, description="the account that can leave"
    )


def _views(history: HistoryVersion) -> list[FeatureView]:
    return [_view(history, family, signals) for family, signals in history.families.items()]


def _view(history: HistoryVersion, family: str, signals: tuple[Signal, ...]) -> FeatureView:
    return FeatureView(
        name=family,
        entities=[_account()],
        schema=[
            Field(name=ACCOUNT_ID, dtype=String),
            *(
                Field(name=s.name, dtype=FEAST_TYPES[s.kind], description=s.sentence, tags={"unit": s.unit})
                for s in signals
            ),
        ],
        source=FileSource(
            name=family, path=_files_pattern(history, family), file_format=ParquetFormat(), timestamp_field=TIMESTAMP
        ),
        online=True,
        ttl=timedelta(0),
    )


def _declared_hash(history: HistoryVersion) -> str:
    declared = [(signal.name, signal.family, signal.kind, signal.sentence, signal.unit) for signal in history.signals]
    return hashlib.sha256(repr(declared).encode()).hexdigest()[:12]


def _files_pattern(history: HistoryVersion, family: str) -> str:
    """A pattern of which only the day is one: a state folder may have a name such as `exports [2023]`."""
    file = history.family_files(family)
    return f"{escape_pattern(str(file.parents[1]))}/{file.parent.name}/{file.name}"
