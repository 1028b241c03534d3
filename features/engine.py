"""The engine: where the expressions run, DuckDB in this process or Spark, with every source of a data set as a view.

The selects of a mapping are written in DuckDB's SQL and translated for Spark, so one mapping serves both.
"""

# pyright: reportMissingImports=false
# (pyspark comes with an extra of its own)

import json
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cache, partial, reduce
from pathlib import Path
from typing import Any

import ibis
import ibis.expr.types as ir
import pyarrow as pa
import pyarrow.parquet as pq

from configs.errors import ConfigError, DataError
from configs.settings import EngineSettings
from features.cut import happened_between
from features.dataset import Dataset
from features.kept import SOURCE, Kept
from features.queries import Queries
from features.tables import USAGE

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


RowsAt = Callable[[datetime], ir.Table]
RowsBetween = Callable[[datetime, datetime], ir.Table]
MadeOf = Callable[[ir.Table, datetime], ir.Table]  # of the events of a stretch, and when it began
ANY_INSTANTS = (datetime(1002, 3, 4), datetime(1005, 6, 7))  # midnights that no company has seen


@dataclass(frozen=True)
class Engine:
    """An open connection.

    `backend` runs expressions, `refusals` are what it raises for SQL or files it rejects, `view` names some files.
    `at_any` makes of an expression that depends on an instant a function that gives its rows at any. `keep` holds what
    is made of the events between two instants, see `kept`; None for an engine that makes it anew each time. Both are
    told what else the expression is made of, see `queries`.
    """

    backend: Any
    refusals: tuple[type[Exception], ...]
    view: Callable[[str, list[str]], None]
    at_any: Callable[[RowsAt, str], Callable[[datetime], pa.Table]]
    keep: Callable[[RowsBetween, Mapping[str, MadeOf], Sequence[datetime], str], Kept] | None = None

    def select(self, sql: str) -> ir.Table:
        """The rows of a select in the mapping's dialect."""
        return self.backend.sql(sql, dialect=MAPPING_DIALECT)


def open_engine(settings: EngineSettings, dataset: Dataset, queries: Path | None = None) -> Engine:
    """The engine of the settings, in which every source of the data set is a view; `queries` is where it keeps its own.

    Raises ConfigError where the engine is not installed, DataError for a file that cannot be read.
    """
    kept = Queries(queries, json.dumps(dataset.selects, sort_keys=True))
    engine = _spark(settings) if settings.kind == "spark" else _duckdb(settings, kept)
    for source, files in dataset.files.items():
        try:
            engine.view(source, [str(file) for file in files])
        except engine.refusals as problem:
            raise DataError(f"{files[0]} cannot be read: {first_line(problem)}.", "Is it Parquet or CSV?") from None
    return engine


def first_line(problem: Exception) -> str:
    """What an engine says in its first line, without the query behind it."""
    return str(problem).splitlines()[0].rstrip(".")


def _duckdb(settings: EngineSettings, queries: Queries) -> Engine:
    import duckdb

    limits = {"threads": settings.threads, "memory_limit": settings.memory_limit}
    given = {name: limit for name, limit in limits.items() if limit is not None}
    backend = ibis.duckdb.connect(**given, temp_directory=str(Path(tempfile.gettempdir()) / "oarlock"))
    backend.raw_sql("set timezone = 'UTC'")
    duck = _Duck(backend, queries)
    return Engine(backend, (duckdb.Error,), partial(_view_in_duckdb, backend), duck.at_any, duck.keep)


def _view_in_duckdb(backend: Any, source: str, paths: list[str]) -> None:
    if _is_text(paths):
        backend.read_csv(paths, table_name=source, sample_size=-1)
    else:
        backend.read_parquet(paths, table_name=source)


@dataclass(frozen=True)
class _Duck:
    """What DuckDB does with expressions that depend on instants."""

    backend: Any
    queries: Queries

    def at_any(self, rows_at: RowsAt, made_of: str) -> Callable[[datetime], pa.Table]:
        query = self._translated(rows_at, 1, made_of)
        return lambda as_of: self.backend.raw_sql(query(as_of)).to_arrow_table()

    def keep(self, source: RowsBetween, made: Mapping[str, MadeOf], edges: Sequence[datetime], made_of: str) -> Kept:
        # What makes one table reads the events once anyway; where time is cut at edges, they are read once before.
        kept = Kept(self.backend.raw_sql, edges, self._translated(source, 2, f"{SOURCE} {made_of}") if edges else None)
        read = self.backend.sql(f"select * from {SOURCE}") if edges else None

        def between(make: MadeOf) -> RowsBetween:
            def rows(since: datetime, until: datetime) -> ir.Table:
                events = source(since, until) if read is None else happened_between(read, USAGE, since, until)
                return make(events, since)

            return rows

        of = f"{'read before' if edges else 'read here'} {made_of}"
        kept.make({name: self._translated(between(make), 2, f"{name} {of}") for name, make in made.items()})
        return kept

    def _translated(self, rows: Callable[..., ir.Table], instants: int, made_of: str) -> Callable[..., str]:
        """The query as a function of its instants.

        Translated once; the instants are put in their places in the text. A function that gives an instant would keep
        ibis from merging filters, and cost more than it saves.
        """
        stand_ins = ANY_INSTANTS[:instants]

        def translate() -> str:
            return reduce(_marked, stand_ins, str(ibis.to_sql(rows(*stand_ins), dialect=MAPPING_DIALECT)))

        text = cache(partial(self.queries.text, made_of, translate))

        def query(*at: datetime) -> str:
            pairs = zip(stand_ins, at, strict=True)
            return reduce(lambda sql, pair: sql.replace(_literal(pair[0]), _literal(pair[1])), pairs, text())

        return query


def _marked(sql: str, at: datetime) -> str:
    """The query with an instant as `_literal` writes it; ibis, which is slow, has its own way."""
    found = str(ibis.to_sql(ibis.timestamp(at.isoformat()).name("at"), dialect=MAPPING_DIALECT))
    written = found.removeprefix("SELECT").rpartition(" AS ")[0].strip()
    if written not in sql:
        raise LookupError("the query does not depend on the instant")
    return sql.replace(written, _literal(at))


def _literal(at: datetime) -> str:
    return f"TIMESTAMP '{at.isoformat(' ')}'"


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


def _at_any_in_spark(rows_at: RowsAt, made_of: str) -> Callable[[datetime], pa.Table]:
    """Translated for each instant anew: next to a job of Spark it costs nothing."""
    del made_of
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
