"""Spark as a backend: sessions, views over Parquet files, and queries for several instants."""

# pyright: reportMissingImports=false
from collections.abc import Callable
from datetime import datetime
from functools import partial
from typing import Any

import ibis
import pyarrow as pa
import pyarrow.parquet as pq

from configs.errors import ConfigError
from configs.settings import EngineSettings
from features.compute.backends.base import Engine, RowsAt, _is_text

SPARK_OPTIONS = {
    "spark.app.name": "oarlock",
    "spark.ui.enabled": "false",
    "spark.ui.showConsoleProgress": "false",
    "spark.driver.extraJavaOptions": "-Duser.timezone=UTC",
    "spark.sql.session.timeZone": "UTC",
    # DuckDB answers null to a division by zero, where ANSI Spark refuses the whole query.
    "spark.sql.ansi.enabled": "false",
    "spark.sql.execution.arrow.pyspark.enabled": "true",
    # An instant that a file stores without a zone stays without one.
    "spark.sql.timestampType": "TIMESTAMP_NTZ",
    "spark.sql.legacy.parquet.nanosAsLong": "true",
    "spark.log.level": "FATAL",
}


NANOSECONDS = (pa.timestamp("ns"), pa.timestamp("ns", tz="UTC"))


SPARK_TEXT = {"header": True, "inferSchema": True}


def _spark(settings: EngineSettings) -> Engine:
    try:
        from pyspark.errors import PySparkException
        from pyspark.sql import SparkSession
    except ModuleNotFoundError:
        raise ConfigError('engine.kind = "spark" needs PySpark.', "pip install oarlock[spark]") from None
    builder = SparkSession.builder.master(settings.master)
    for name, value in {**SPARK_OPTIONS, **settings.options}.items():
        builder = builder.config(name, value)
    session = builder.getOrCreate()
    refusals = (PySparkException, pa.ArrowInvalid)
    return Engine(ibis.pyspark.connect(session), refusals, partial(_view_in_spark, session), _at_any_in_spark)


def _at_any_in_spark(rows_at: RowsAt) -> Callable[[datetime], pa.Table]:
    """Translated for each instant anew: next to a job of Spark it costs nothing."""
    return lambda as_of: rows_at(as_of).to_pyarrow()


def _view_in_spark(session: Any, source: str, paths: list[str]) -> None:
    rows = session.read.csv(paths, **SPARK_TEXT) if _is_text(paths) else _parquet_in_spark(session, paths)
    rows.createOrReplaceTempView(source)


def _parquet_in_spark(session: Any, paths: list[str]) -> Any:
    """The files' rows; instants in nanoseconds, as pandas writes them, come to Spark as numbers and are put right."""
    from pyspark.sql.functions import expr

    in_nanoseconds = [field.name for field in pq.read_schema(paths[0]) if field.type in NANOSECONDS]
    instants = {name: expr(f"cast(timestamp_micros(`{name}` div 1000) as timestamp_ntz)") for name in in_nanoseconds}
    rows = session.read.parquet(*paths)
    return rows.withColumns(instants) if instants else rows
