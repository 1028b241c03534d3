"""The engine: where the expressions run, DuckDB in this process or Spark, with every source of a data set as a view.

The selects of a mapping are written in DuckDB's SQL and translated for Spark, so one mapping serves both.
"""

# pyright: reportMissingImports=false
# (pyspark comes with an extra of its own)

import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from functools import cache, partial
from pathlib import Path
from typing import Any

import ibis
import ibis.expr.types as ir
import pyarrow as pa
import pyarrow.parquet as pq

from configs.errors import ConfigError, DataError
from configs.settings import EngineSettings
from features.cut import Instant
from features.dataset import Dataset

MAPPING_DIALECT = "duckdb"
TEXT_ENDINGS = (".csv", ".csv.gz", ".tsv", ".tsv.gz")
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


RowsAt = Callable[[Instant], ir.Table]


@dataclass(frozen=True)
class Engine:
    """An open connection.

    `backend` runs expressions, `refusals` are what it raises for SQL or files it rejects, `view` names some files.
    `at_any` makes of an expression that depends on an instant a function that gives its rows at any.
    """

    backend: Any
    refusals: tuple[type[Exception], ...]
    view: Callable[[str, list[str]], None]
    at_any: Callable[[RowsAt], Callable[[datetime], pa.Table]]

    def select(self, sql: str) -> ir.Table:
        """The rows of a select in the mapping's dialect."""
        return self.backend.sql(sql, dialect=MAPPING_DIALECT)


def open_engine(settings: EngineSettings, dataset: Dataset) -> Engine:
    """The engine of the settings, in which every source of the data set is a view.

    Raises ConfigError where the engine is not installed, DataError for a file that cannot be read.
    """
    engine = _spark(settings) if settings.kind == "spark" else _duckdb(settings)
    for source, files in dataset.files.items():
        try:
            engine.view(source, [str(file) for file in files])
        except engine.refusals as problem:
            raise DataError(f"{files[0]} cannot be read: {first_line(problem)}.", "Is it Parquet or CSV?") from None
    return engine


def first_line(problem: Exception) -> str:
    """What an engine says in its first line, without the query behind it."""
    return str(problem).splitlines()[0].rstrip(".")


def _duckdb(settings: EngineSettings) -> Engine:
    import duckdb

    limits = {"threads": settings.threads, "memory_limit": settings.memory_limit}
    given = {name: limit for name, limit in limits.items() if limit is not None}
    backend = ibis.duckdb.connect(**given, temp_directory=str(Path(tempfile.gettempdir()) / "oarlock"))
    backend.raw_sql("set timezone = 'UTC'")
    return Engine(backend, (duckdb.Error,), partial(_view_in_duckdb, backend), partial(_at_any_in_duckdb, backend))


def _view_in_duckdb(backend: Any, source: str, paths: list[str]) -> None:
    if _is_text(paths):
        backend.read_csv(paths, table_name=source, sample_size=-1)
    else:
        backend.read_parquet(paths, table_name=source)


def _at_any_in_duckdb(backend: Any, rows_at: RowsAt) -> Callable[[datetime], pa.Table]:
    """Translated once, which takes longer than a small company's day: the instant is a macro, folded when planned."""

    @ibis.udf.scalar.builtin
    def seen_from() -> datetime: ...  # type: ignore[empty-body]

    @cache
    def query() -> str:
        instant: Any = seen_from()
        return str(ibis.to_sql(rows_at(instant), dialect=MAPPING_DIALECT))

    def rows(as_of: datetime) -> pa.Table:
        backend.raw_sql(f"create or replace temp macro seen_from() as timestamp '{as_of.isoformat()}'")
        return backend.raw_sql(query()).to_arrow_table()

    return rows


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


def _is_text(paths: list[str]) -> bool:
    return paths[0].lower().endswith(TEXT_ENDINGS)
