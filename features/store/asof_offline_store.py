"""An offline store on Feast's interface that reads only the days that are asked for.

Feast's own DuckDB store joins a snapshot with every earlier day, including all signals, and then drops all but the
newest, so its cost and memory grow with snapshots x days. DuckDB's ASOF join finds that one day directly. To
materialize one day, Feast opens the files of all days: with 1,000 of them that was more than a second of a publish.

All else is Feast's. The views here (`features/store/feast_store.py`) have no time to live and no second timestamp, and
the rows of a day are in a folder of its name, so both give the same rows.
"""

from datetime import datetime, timedelta
from typing import Literal

import ibis
import ibis.expr.types as ir
import pandas as pd

from features.store.feast_import import without_type_checks

with without_type_checks():
    from feast import FeatureView, FileSource, RepoConfig
    from feast.data_format import ParquetFormat
    from feast.data_source import DataSource
    from feast.infra.offline_stores.duckdb import DuckDBOfflineStore, DuckDBOfflineStoreConfig, _write_data_source
    from feast.infra.offline_stores.ibis import IbisRetrievalJob
    from feast.infra.offline_stores.offline_store import RetrievalJob, RetrievalMetadata
    from feast.infra.offline_stores.offline_utils import DEFAULT_ENTITY_DF_EVENT_TIMESTAMP_COL as REQUESTED
    from feast.infra.registry.base_registry import BaseRegistry

ONE_DAY = timedelta(days=1)
ANY_DAY = "*"


class AsofOfflineStoreConfig(DuckDBOfflineStoreConfig):
    """The settings of the offline store with an ASOF join."""

    type: Literal["features.store.asof_offline_store.AsofOfflineStore"] = (  # pyright: ignore
        "features.store.asof_offline_store.AsofOfflineStore"
    )


class AsofOfflineStore(DuckDBOfflineStore):
    """Feast's offline store on DuckDB, except that it joins by ASOF and opens the file of one day to materialize it."""

    @staticmethod
    def pull_latest_from_table_or_query(  # noqa: PLR0913, PLR0917 - the signature is Feast's
        config: RepoConfig,
        data_source: DataSource,
        join_key_columns: list[str],
        feature_name_columns: list[str],
        timestamp_field: str,
        created_timestamp_column: str | None,
        start_date: datetime,
        end_date: datetime,
    ) -> RetrievalJob:
        """The newest row of each account in a period, both ends included."""
        assert isinstance(data_source, FileSource)
        return DuckDBOfflineStore.pull_latest_from_table_or_query(
            config,
            _source_of_day(data_source, end_date) if end_date - start_date < ONE_DAY else data_source,
            join_key_columns,
            feature_name_columns,
            timestamp_field,
            created_timestamp_column,
            start_date,
            end_date,
        )

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
        """One row per requested row, in no order, with the newest values of each view at or before it."""
        del registry, project, filter_by_created_timestamp
        assert isinstance(entity_df, pd.DataFrame)
        rows: ir.Table = ibis.memtable(entity_df)
        # DuckDB estimates one row for a table in memory, and would then compare all days instead of sorting them.
        ibis.get_backend(rows).raw_sql("set asof_loop_join_threshold = 0")
        for view in feature_views:
            names = [ref.split(":")[1] for ref in feature_refs if ref.split(":")[0] == view.projection.name_to_use()]
            rows = _join_view(rows, view, names)
        timestamps = entity_df[REQUESTED]
        return IbisRetrievalJob(
            rows,
            on_demand_feature_views=[],
            full_feature_names=full_feature_names,
            metadata=RetrievalMetadata(
                feature_refs, [*entity_df.columns.drop(REQUESTED)], timestamps.min(), timestamps.max()
            ),
            data_source_writer=_write_data_source,
            staging_location=None,
            staging_location_endpoint_override=None,
            repo_path=str(config.repo_path),
        )


def _source_of_day(source: FileSource, end: datetime) -> FileSource:
    """The source of the only day, which begins at midnight, that a period of less than a day can have."""
    folder, day, file = source.path.rsplit("/", 2)
    assert day == ANY_DAY
    path = f"{folder}/{end:%Y-%m-%d}/{file}"
    return FileSource(name=source.name, path=path, file_format=ParquetFormat(), timestamp_field=source.timestamp_field)


def _join_view(rows: ir.Table, view: FeatureView, names: list[str]) -> ir.Table:
    source, (key,) = view.batch_source, view.join_keys
    assert isinstance(source, FileSource)
    assert not view.ttl
    days = ibis.read_parquet(source.path).select(key, *names, _published=ibis._[source.timestamp_field])
    joined = rows.asof_join(days, on=rows[REQUESTED] >= days["_published"], predicates=key)
    return joined.select(*rows.columns, *names)
