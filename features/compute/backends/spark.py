"""Spark as a backend: sessions, views over files, and queries that are translated for each day."""

# pyright: reportMissingImports=false
# (PySpark is an optional extra)

from datetime import datetime
from functools import partial, reduce
from typing import TYPE_CHECKING

import ibis
import pyarrow as pa
import pyarrow.parquet as pq

from configs.errors import ConfigError
from configs.sections.publishing import EngineSettings
from features.compute.backends.base import Backend, CompiledRows, RowsAt
from features.compute.backends.parquet_files import ParquetGroup, group_for_union

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

SPARK_OPTIONS = {
    "spark.app.name": "oarlock",
    "spark.ui.enabled": "false",
    "spark.ui.showConsoleProgress": "false",
    "spark.driver.extraJavaOptions": "-Duser.timezone=UTC",
    "spark.sql.session.timeZone": "UTC",
    # DuckDB returns null for a division by zero; ANSI Spark would fail the whole query.
    "spark.sql.ansi.enabled": "false",
    "spark.sql.execution.arrow.pyspark.enabled": "true",
    # An instant that a file stores without a time zone stays without one.
    "spark.sql.timestampType": "TIMESTAMP_NTZ",
    "spark.sql.legacy.parquet.nanosAsLong": "true",
    "spark.log.level": "FATAL",
}
NANOSECONDS = (pa.timestamp("ns"), pa.timestamp("ns", tz="UTC"))
SPARK_TYPES = {
    pa.float64(): "double",
    pa.timestamp("us"): "timestamp_ntz",
    pa.timestamp("us", tz="UTC"): "timestamp",
    **dict(zip((pa.int16(), pa.int32(), pa.int64()), ("smallint", "int", "bigint"), strict=True)),
    **dict(zip((pa.uint16(), pa.uint32(), pa.uint64()), ("int", "bigint", "decimal(20, 0)"), strict=True)),
}


def open_spark(settings: EngineSettings) -> Backend:
    """A Spark session; raises ConfigError if PySpark is not installed."""
    try:
        from pyspark.errors import PySparkException
        from pyspark.sql import SparkSession
    except ModuleNotFoundError:
        hint = "In the folder of Oarlock's source: pip install '.[spark]'"
        raise ConfigError('engine.kind = "spark" needs PySpark.', hint) from None
    builder = SparkSession.builder.master(settings.master)
    for name, value in {**SPARK_OPTIONS, **settings.options}.items():
        builder = builder.config(name, value)
    session = builder.getOrCreate()
    error_types = (PySparkException, pa.ArrowInvalid)
    connection = ibis.pyspark.connect(session)
    return Backend(connection, error_types, partial(_create_view, session), _compile_for_instants)


def _compile_for_instants(rows_at: RowsAt) -> CompiledRows:
    """The query with the instant as a parameter; it is translated for each day, which costs little next to a job."""
    instant = ibis.param("timestamp")
    rows = rows_at(instant)

    def rows_on(as_of: datetime) -> pa.Table:
        return rows.to_pyarrow(params={instant: as_of})

    return rows_on


def _create_view(session: "SparkSession", source: str, paths: list[str]) -> None:
    groups = [_read_group(session, group) for group in group_for_union(paths)]
    rows = reduce(lambda left, right: left.unionByName(right, allowMissingColumns=True), groups)
    rows.createOrReplaceTempView(source)


def _read_group(session: "SparkSession", group: ParquetGroup) -> "DataFrame":
    """The rows of files of one schema, in the types of the whole source."""
    rows = _read_parquet(session, list(group.paths)).drop(*group.empty)
    return rows.withColumns({name: rows[f"`{name}`"].cast(SPARK_TYPES[kind]) for name, kind in group.casts.items()})


def _read_parquet(session: "SparkSession", paths: list[str]) -> "DataFrame":
    """The rows of the files. Spark reads instants in nanoseconds, as pandas writes them, as numbers: cast them back."""
    from pyspark.sql.functions import expr

    in_nanoseconds = [field.name for field in pq.read_schema(paths[0]) if field.type in NANOSECONDS]
    instants = {name: expr(f"cast(timestamp_micros(`{name}` div 1000) as timestamp_ntz)") for name in in_nanoseconds}
    rows = session.read.parquet(*paths)
    return rows.withColumns(instants) if instants else rows
