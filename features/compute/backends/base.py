"""The engine: where the expressions run, DuckDB in this process or Spark, with every source of a data set as a view.

The selects of a mapping are written in DuckDB's SQL and translated for Spark, so one mapping serves both.
"""

# pyright: reportMissingImports=false
# (pyspark comes with an extra of its own)

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import ibis.expr.types as ir
import pyarrow as pa

from features.compute.backends.rollup_tables import Kept

MAPPING_DIALECT = "duckdb"
TEXT_ENDINGS = (".csv", ".csv.gz", ".tsv", ".tsv.gz")


RowsAt = Callable[[datetime], ir.Table]
RowsBetween = Callable[[datetime, datetime], ir.Table]
MadeOf = Callable[[ir.Table, datetime], ir.Table]  # of the events of a stretch, and when it began


@dataclass(frozen=True)
class Engine:
    """An open connection.

    `backend` runs expressions, `refusals` are what it raises for SQL or files it rejects, `view` names some files.
    `at_any` makes of an expression that depends on an instant a function that gives its rows at any. `keep` holds what
    is made of the events between two instants, see `kept`; None for an engine that makes it anew each time.
    """

    backend: Any
    refusals: tuple[type[Exception], ...]
    view: Callable[[str, list[str]], None]
    at_any: Callable[[RowsAt], Callable[[datetime], pa.Table]]
    keep: Callable[[RowsBetween, Mapping[str, MadeOf], Sequence[datetime]], Kept] | None = None

    def select(self, sql: str) -> ir.Table:
        """The rows of a select in the mapping's dialect."""
        return self.backend.sql(sql, dialect=MAPPING_DIALECT)


def first_line(problem: Exception) -> str:
    """What an engine says in its first line, without the query behind it."""
    return str(problem).splitlines()[0].rstrip(".")


def _is_text(paths: list[str]) -> bool:
    return paths[0].lower().endswith(TEXT_ENDINGS)
