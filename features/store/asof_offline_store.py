"""The as-of join: on Feast's offline interface, each snapshot meets only the newest day at or before it.

Feast's own DuckDB store joins a snapshot with every day of its past, all signals with it, and then throws away all but
the newest; its cost and memory grow with snapshots x days. DuckDB's ASOF join finds that one day directly. Everything
else of the store is Feast's. Views have no time to live here and no second timestamp (`features/store/feast_store.py`
declares
them), which is what makes the two joins say the same.
"""

from typing import Any, Literal, cast

import ibis
import ibis.expr.types as ir
import pandas as pd
from feast import FeatureView, FileSource, RepoConfig
from feast.infra.offline_stores.duckdb import DuckDBOfflineStore, DuckDBOfflineStoreConfig, _write_data_source
from feast.infra.offline_stores.ibis import IbisRetrievalJob
from feast.infra.offline_stores.offline_store import RetrievalJob, RetrievalMetadata
from feast.infra.offline_stores.offline_utils import DEFAULT_ENTITY_DF_EVENT_TIMESTAMP_COL as ASKED
from feast.infra.registry.base_registry import BaseRegistry


class AsofOfflineStoreConfig(DuckDBOfflineStoreConfig):
    """The offline store that joins as of."""

    type: Literal["features.store.asof_offline_store.AsofOfflineStore"] = (  # pyright: ignore
        "features.store.asof_offline_store.AsofOfflineStore"
    )


class AsofOfflineStore(DuckDBOfflineStore):
    """Feast's offline store on DuckDB, except that it joins in time by ASOF."""

    @staticmethod
    def get_historical_features(  # noqa: PLR0913, PLR0917 - the signature is Feast's
        config: RepoConfig,
        feature_views: list[FeatureView],
        feature_refs: list[str],
        entity_df: pd.DataFrame | str,
        registry: BaseRegistry,
        project: str,
        full_feature_names: bool = False,
        filter_by_created_timestamp: bool = False,
    ) -> RetrievalJob:
        """One row per row asked for, in no order, with the newest values of each view at or before it."""
        del registry, project, filter_by_created_timestamp
        assert isinstance(entity_df, pd.DataFrame)
        rows: ir.Table = ibis.memtable(entity_df)
        # DuckDB takes a table in memory for one row, for which it would compare all days rather than sort them.
        cast("Any", ibis.get_backend(rows)).raw_sql("set asof_loop_join_threshold = 0")
        for view in feature_views:
            names = [ref.split(":")[1] for ref in feature_refs if ref.split(":")[0] == view.projection.name_to_use()]
            rows = _joined(rows, view, names)
        stamps = entity_df[ASKED]
        return IbisRetrievalJob(
            rows,
            on_demand_feature_views=[],
            full_feature_names=full_feature_names,
            metadata=RetrievalMetadata(feature_refs, [*entity_df.columns.drop(ASKED)], stamps.min(), stamps.max()),
            data_source_writer=_write_data_source,
            staging_location=None,
            staging_location_endpoint_override=None,
            repo_path=str(config.repo_path),
        )


def _joined(rows: ir.Table, view: FeatureView, names: list[str]) -> ir.Table:
    source, (key,) = view.batch_source, view.join_keys
    assert isinstance(source, FileSource)
    assert not view.ttl
    days = ibis.read_parquet(source.path).select(key, *names, _published=ibis._[source.timestamp_field])
    joined = rows.asof_join(days, on=cast("ir.BooleanColumn", rows[ASKED] >= days["_published"]), predicates=key)
    return joined.select(*rows.columns, *names)
