"""A database for one query over the raw tables: it holds what the query names, up to an instant, and nothing else."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, cast

import pyarrow.parquet as pq

from configs.sections.publishing import EngineSettings
from features.compute.backends.base import describe
from features.compute.backends.duckdb import duckdb_errors, open_duckdb
from features.ingestion.text_comparisons import sources_read
from features.tables.contract import TableContract
from features.tables.point_in_time import filter_before
from features.tables.raw_table import RawTable
from features.tables.select_rules import find_changing_value, find_select_fault

if TYPE_CHECKING:
    import ibis.expr.types as ir
    import pandas as pd
    from ibis.backends.duckdb import Backend as DuckDBBackend

# One thread reads equal rows in the same order each time, so that what depends on it does not change.
ENGINE = EngineSettings(threads=1)


@dataclass(frozen=True)
class QueryResult:
    """The rows of a query, and the DuckDB type of each column."""

    rows: "pd.DataFrame"
    types: Mapping[str, str]


class QueryDatabase:
    """The tables that a query reads, kept in files of a folder."""

    def __init__(self, tables: Mapping[str, RawTable], query: str, folder: Path) -> None:
        self._query = query
        backend = open_duckdb(ENGINE, folders=[folder])
        self._connection = cast("DuckDBBackend", backend.connection)
        self._stored: dict[str, tuple[ir.Table, TableContract]] = {}
        for name in sources_read(query, tables):
            file, view = folder / f"{name}.parquet", f"stored rows of {name}"
            _write(tables[name], file)
            backend.create_view(view, [str(file)])
            self._stored[name] = self._connection.table(view), tables[name].contract

    def end_at(self, until: datetime) -> None:
        """Let every table end here: later rows are gone, and values that became known later are null."""
        for name, (rows, contract) in self._stored.items():
            sql = self._connection.compile(filter_before(rows, contract, until))
            self._connection.raw_sql(f'create or replace temp view "{name}" as {sql}')

    def set_table(self, name: str, rows: "pd.DataFrame") -> None:
        """Give the query a further table, or replace it."""
        self._connection.con.register(name, rows)

    def run(self) -> QueryResult:
        """The rows of the query. Raises ValueError, with the reason as a clause, if it fails."""
        try:
            result = self._connection.con.execute(self._query)
            types = {name: str(kind) for name, kind, *_ in result.description or ()}
            return QueryResult(result.df(), types)
        except duckdb_errors() as error:
            raise ValueError(f"fails: {describe(error)}") from None


def find_query_fault(query: str, tables: Iterable[str]) -> str | None:
    """Why a query over these tables cannot be run, as the end of a sentence; None if it can.

    It is one SELECT that reads nothing else, and that gives the same answer whenever it runs.
    """
    try:
        fault = find_select_fault(query, tables)
        changing = None if fault else find_changing_value(query)
    except duckdb_errors() as error:
        return f"is not SQL: {describe(error)}"
    return fault or (f"uses {changing}, which is another value each time it runs" if changing else None)


def _write(table: RawTable, file: Path) -> None:
    """Write the columns that a table of the data set has."""
    columns = table.source_columns & table.contract.columns.keys()
    rows = table.rows.select([name for name in table.rows.columns if name in columns])
    batches = rows.to_pyarrow_batches()
    with pq.ParquetWriter(file, batches.schema) as writer:
        for batch in batches:
            writer.write_batch(batch)
