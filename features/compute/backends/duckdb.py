"""DuckDB as a backend: connections, views over Parquet files, and queries for several instants."""

# pyright: reportMissingImports=false
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

from configs.settings import EngineSettings
from features.compute.backends.base import MAPPING_DIALECT, Engine, MadeOf, RowsAt, RowsBetween, _is_text
from features.compute.backends.rollup_tables import SOURCE, Kept
from features.compute.backends.sql_cache import Queries
from features.tables.contract import USAGE
from features.tables.point_in_time import happened_between

ANY_INSTANTS = (datetime(1002, 3, 4), datetime(1005, 6, 7))  # midnights that no company has seen


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

    def at_any(self, rows_at: RowsAt) -> Callable[[datetime], pa.Table]:
        query = self._translated(rows_at, 1)
        return lambda as_of: self.backend.raw_sql(query(as_of)).to_arrow_table()

    def keep(self, source: RowsBetween, made: Mapping[str, MadeOf], edges: Sequence[datetime]) -> Kept:
        # What makes one table reads the events once anyway; where time is cut at edges, they are read once before.
        kept = Kept(self.backend.raw_sql, edges, self._translated(source, 2) if edges else None)
        read = self.backend.sql(f"select * from {SOURCE}") if edges else None

        def between(make: MadeOf) -> RowsBetween:
            def rows(since: datetime, until: datetime) -> ir.Table:
                events = source(since, until) if read is None else happened_between(read, USAGE, since, until)
                return make(events, since)

            return rows

        kept.make({name: self._translated(between(make), 2) for name, make in made.items()})
        return kept

    def _translated(self, rows: Callable[..., ir.Table], instants: int) -> Callable[..., str]:
        """The query as a function of its instants.

        Translated once; the instants are put in their places in the text. A function that gives an instant would keep
        ibis from merging filters, and cost more than it saves.
        """
        stand_ins = ANY_INSTANTS[:instants]

        def translate(expression: ir.Table) -> str:
            return reduce(_marked, stand_ins, str(ibis.to_sql(expression, dialect=MAPPING_DIALECT)))

        @cache
        def text() -> str:
            return self.queries.text(rows(*stand_ins), [_literal(at) for at in stand_ins], translate)

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
