"""The Feast store: views from the declarations, history in, signals out; `asof` and `packed` are its two halves.

Feast's words stay in here: its entity is our account, a feature a signal, a view a family, the event timestamp as_of.
"""

# pyright: reportArgumentType=false
# (Feast declares its list parameters too narrowly for lists of one kind)

import hashlib
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pandas as pd
from feast import Entity, FeatureService, FeatureStore, FeatureView, Field, FileSource, RepoConfig, ValueType
from feast.data_format import ParquetFormat
from feast.types import Float64, String

from configs.files import atomic_write, read_json, write_json
from configs.state_dir import StateDir
from features.signals.base import Signal
from features.store.history import KEY, TIMESTAMP, Edition
from features.store.packed_online_store import PackedOnlineStore, PackedRows

SERVICE = "risk"
PLACE = "_place"
PANDAS_TYPES = {"number": "float64", "category": "object"}
FEAST_TYPES = {"number": Float64, "category": String}


@dataclass(frozen=True)
class OnlineRows:
    """What the online store knows of some accounts, in the order asked.

    `values` has a column per signal; `as_of` (datetime64) is the oldest among an account's families, NaT where it was
    never published.
    """

    values: pd.DataFrame
    as_of: np.ndarray


def open_store(state: StateDir, project: str) -> FeatureStore:
    """The Feast store of this state, embedded: registry, DuckDB offline and SQLite online under the state folder."""
    return _opened(state, project, state.feast / "registry.db")


def _opened(state: StateDir, project: str, registry: Path) -> FeatureStore:
    registry.parent.mkdir(parents=True, exist_ok=True)
    return FeatureStore(
        config=RepoConfig(
            project=project.replace("-", "_"),
            provider="local",
            repo_path=state.feast,
            registry={"registry_type": "file", "path": str(registry), "cache_ttl_seconds": 60},
            offline_store={"type": "features.store.asof_offline_store.AsofOfflineStore"},
            online_store={
                "type": "features.store.packed_online_store.PackedOnlineStore",
                "path": str(state.feast / "packed.db"),
            },
            batch_engine={"type": "features.store.packed_online_store.PackedEngine"},
            entity_key_serialization_version=3,
        )
    )


def open_history(state: StateDir, place: Edition, project: str) -> FeatureStore:
    """The store with its views over this edition, for reading it, wherever the state folder is now.

    Its registry is the edition's own, so that reading a history changes nothing of what is published.
    """
    of_edition = hashlib.sha256(f"{place.folder} {_declared_hash(place)}".encode()).hexdigest()[:12]
    registry = state.feast / "histories" / f"{of_edition}.db"
    if not registry.exists():
        with atomic_write(registry) as temporary:
            store = _opened(state, project, temporary)
            for view in (views := _views(place)):
                store.registry.apply_feature_view(view, store.project, commit=False)
            store.registry.apply_entity(_account(), store.project, commit=False)
            store.registry.apply_feature_service(FeatureService(name=SERVICE, features=views), store.project)
    return _opened(state, project, registry)


def apply_declarations(store: FeatureStore, place: Edition, state: StateDir) -> bool:
    """Bring the registry in line with the declared signals; False where it already was, which saves seconds.

    What the edition lacks stays, because it may be what is published: see `forget_others`.
    """
    note = state.feast / "applied.json"
    declared = {"edition": str(place.folder), "signals": _declared_hash(place)}
    if note.exists() and read_json(note) == declared:
        return False
    views = _views(place)
    store.apply([_account(), *views, FeatureService(name=SERVICE, features=views)])
    write_json(note, declared)
    return True


def forget_others(store: FeatureStore, place: Edition) -> None:
    """Drop what the store holds of families and layouts that this edition, which is published now, does not have."""
    gone = [view for view in store.list_feature_views() if view.name not in place.families]
    store.apply([], objects_to_delete=gone, partial=False) if gone else None
    _online(store).keep_only(store.config, store.list_feature_views())


def materialise(store: FeatureStore, as_of: datetime) -> None:
    """Put the snapshots of one day into the online store."""
    end = as_of.replace(tzinfo=UTC)
    start, families = end - timedelta(seconds=1), [view.name for view in online_views(store)]
    store.materialize(start_date=start, end_date=end, feature_views=families, disable_event_timestamp=False)


def retire(store: FeatureStore, place: Edition, account_ids: list[str], as_of: datetime) -> None:
    """Let accounts that an earlier writing of a day put online look as they would had it never held them.

    Feast cannot delete a row; without values, and older than the day, it reads as an account that is gone.
    """
    for family, signals in place.families.items():
        empty = {one.name: pd.Series(dtype=PANDAS_TYPES[one.kind], index=range(len(account_ids))) for one in signals}
        stamps = pd.Series(as_of.replace(tzinfo=UTC) - timedelta(days=1), index=range(len(account_ids)))
        rows = pd.DataFrame({KEY: account_ids, TIMESTAMP: stamps, **empty})
        # `write_to_online_store` refuses rows without any value.
        store._get_provider().ingest_df(store.get_feature_view(family), rows)


def read_history(store: FeatureStore, snapshots: pd.DataFrame) -> pd.DataFrame:
    """The signals of the snapshots asked for (account_id, as_of), in their order, through Feast's point-in-time join.

    Every row asked for comes back; an account never published up to then has missing values throughout.
    """
    asked = snapshots[[KEY, "as_of"]].rename(columns={"as_of": TIMESTAMP})
    asked[TIMESTAMP] = pd.to_datetime(asked[TIMESTAMP]).dt.tz_localize("UTC")
    asked[PLACE] = range(len(asked))
    service = store.get_feature_service(SERVICE)
    found = store.get_historical_features(entity_df=asked, features=service).to_arrow().sort_by(PLACE)
    values = found.drop_columns([KEY, TIMESTAMP, PLACE]).to_pandas()
    if len(values) < len(asked):  # a join may drop rows (Feast's own does), and each must stay with its snapshot
        values = values.set_axis(found[PLACE].to_numpy()).reindex(range(len(asked)))
    keys = snapshots[[KEY, "as_of"]].astype({"as_of": "datetime64[us]"}).reset_index(drop=True)
    return pd.concat([keys, values], axis=1)


def online_views(store: FeatureStore) -> list[FeatureView]:
    """The views that signals are read from, fresh from the registry; parsing them costs more than reading a row."""
    store.refresh_registry()
    views = store.get_feature_service(SERVICE, allow_cache=True).feature_view_projections
    return [store.registry.get_feature_view(view.name, store.project, allow_cache=True) for view in views]


def read_online(store: FeatureStore, account_ids: list[str], views: list[FeatureView] | None = None) -> OnlineRows:
    """The latest published signals of these accounts, in the order asked; `views` are those of `online_views`."""
    online = _online(store)
    found = [online.read_rows(store.config, view, account_ids) for view in views or online_views(store)]
    stamps = np.array([one.as_of for one in found])
    oldest = np.where(stamps > 0, stamps, np.iinfo("int64").max).min(axis=0).astype("datetime64[s]")
    as_of = np.where((stamps > 0).any(axis=0), oldest, np.datetime64("NaT"))
    return OnlineRows(pd.concat([_frame(one) for one in found], axis=1), as_of)


def _online(store: FeatureStore) -> PackedOnlineStore:
    online = store._get_provider().online_store  # Feast has no public way to its online store
    assert isinstance(online, PackedOnlineStore)
    return online


def _frame(rows: PackedRows) -> pd.DataFrame:
    words = pd.DataFrame(rows.categories, columns=list(rows.layout.categories), dtype=object)
    return pd.concat([pd.DataFrame(rows.numbers, columns=list(rows.layout.numbers)), words], axis=1)


def _account() -> Entity:
    return Entity(name="account", join_keys=[KEY], value_type=ValueType.STRING, description="who can leave")


def _views(place: Edition) -> list[FeatureView]:
    return [_view(place, family, signals) for family, signals in place.families.items()]


def _view(place: Edition, family: str, signals: tuple[Signal, ...]) -> FeatureView:
    return FeatureView(
        name=family,
        entities=[_account()],
        schema=[
            Field(name=KEY, dtype=String),
            *(
                Field(name=one.name, dtype=FEAST_TYPES[one.kind], description=one.sentence, tags={"unit": one.unit})
                for one in signals
            ),
        ],
        source=FileSource(
            name=family, path=str(place.files_of(family)), file_format=ParquetFormat(), timestamp_field=TIMESTAMP
        ),
        online=True,
        ttl=timedelta(0),
    )


def _declared_hash(place: Edition) -> str:
    declared = [(one.name, one.family, one.kind, one.sentence, one.unit) for one in place.signals]
    return hashlib.sha256(repr(declared).encode()).hexdigest()[:12]
