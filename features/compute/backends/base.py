"""The backend that runs expressions: DuckDB in this process, or Spark. Each source of a data set is a view in it.

The selects of a mapping are written in DuckDB's SQL and translated for Spark, so one mapping serves both.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

import ibis.expr.types as ir
import pyarrow as pa

if TYPE_CHECKING:
    from ibis.backends.sql import SQLBackend

MAPPING_DIALECT = "duckdb"
ENGINE_KIND = re.compile(r"^[A-Z][A-Za-z -]* Error: ")
ENGINE_QUERY = re.compile(r"\n\s*(?:LINE \d+:|== SQL|Possible [Ss]olution|SQLSTATE)|; line \d+ pos")

RowsAt = Callable[[ir.TimestampValue], ir.Table]
CompiledRows = Callable[[datetime], pa.Table]
CompileQuery = Callable[[Sequence[str], Callable[..., ir.Table]], Callable[[Mapping[str, str]], pa.Table]]


@dataclass(frozen=True)
class Backend:
    """An open connection.

    `error_types` are what it raises for SQL or files that it rejects. `create_view` makes a view of Parquet files.
    `compile_for_instants` makes a function of a day out of an expression that depends on an instant. `create_table`
    computes a temporary table, or replaces one of that name; `compile_query` makes a function of texts by name out of
    an expression that depends on them. Both are None if the backend cannot.
    """

    connection: "SQLBackend"
    error_types: tuple[type[Exception], ...]
    create_view: Callable[[str, list[str]], None]
    compile_for_instants: Callable[[RowsAt], CompiledRows]
    create_table: Callable[[str, ir.Table | pa.Table], ir.Table] | None = None
    compile_query: CompileQuery | None = None

    def select(self, sql: str) -> ir.Table:
        """The rows of a select in the mapping's dialect."""
        return self.connection.sql(sql, dialect=MAPPING_DIALECT)


def describe(error: Exception) -> str:
    """A backend's error message in one sentence, without its kind and the query behind it."""
    text = ENGINE_QUERY.split(str(error))[0]
    return " ".join(ENGINE_KIND.sub("", text).replace("!", ".").split()).rstrip(".")
