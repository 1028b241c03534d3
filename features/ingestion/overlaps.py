"""Refuses files that repeat rows of another file of their source, for tables in which a repeated row has no key.

A week that is in two exports would count twice. Equal rows of one file can be different events, such as two logins on
one day, and so can those of several files if a table was split at random: then the mapping says so.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import ibis.expr.types as ir

from configs.errors import DataError
from features.compute.backends.base import Backend
from features.compute.backends.duckdb import quote_text
from features.ingestion.validation import sources_of
from features.tables.dataset import Dataset
from features.tables.mapping import SourceMapping, file_kind, is_text
from features.tables.raw_table import RawTable

FILE = "_oarlock_file"
# Read as text, byte by byte unless a character has two: equal rows are equal whatever their types and encoding are.
CSV_OPTIONS = "all_varchar = true, header = true, strict_mode = false, null_padding = true"
LINE_OPTIONS = f"auto_detect = false, delim = '\\x01', quote = '', escape = '', header = false, filename = '{FILE}'"
HINT = (
    'Remove them from one file, or say in the mapping what equal rows are: equal_rows = "once" if they are one event,'
    ' "each" if each is an event of its own.'
)


@dataclass(frozen=True)
class FileOverlap:
    """How many rows of a file are in another file of its source, too."""

    source: str
    file: str
    other_file: str
    rows: int

    def __str__(self) -> str:
        rows = "1 row" if self.rows == 1 else f"{self.rows:,} rows"
        return f"{self.file} repeats {rows} of {self.other_file}: the source '{self.source}' would count them twice"


def raise_for_overlaps(dataset: Dataset) -> None:
    """Raise DataError if files of one source have equal rows, unless the mapping says what equal rows are."""
    if dataset.mapping.equal_rows is None:
        overlaps = [overlap for source in _sources_without_key(dataset) for overlap in _find_overlaps(dataset, source)]
        if overlaps:
            more = f" And {len(overlaps) - 1} more pairs of files overlap." if len(overlaps) > 1 else ""
            raise DataError(f"{overlaps[0]}.{more}", HINT)


def tables_without_key(tables: Mapping[str, RawTable]) -> dict[str, RawTable]:
    """The tables in which a repeated row has no key."""
    return {name: table for name, table in tables.items() if not table.contract.key}


def count_equal_rows(tables: Mapping[str, RawTable]) -> dict[str, int]:
    """How many rows of each table are equal to another one in every column, for the tables that have any."""
    counts = {name: _count(table.rows) - _count(table.rows.distinct()) for name, table in tables.items()}
    return {name: rows for name, rows in counts.items() if rows}


def distinct_rows(backend: Backend, tables: Mapping[str, RawTable]) -> dict[str, RawTable]:
    """The tables with equal rows once."""
    return {name: replace(table, rows=_distinct(backend, name, table.rows)) for name, table in tables.items()}


def _count(rows: ir.Table) -> int:
    return rows.count().to_pyarrow().as_py()


def _distinct(backend: Backend, name: str, rows: ir.Table) -> ir.Table:
    # Every day of a history reads them.
    return backend.create_table(f"distinct_{name}", rows.distinct()) if backend.create_table else rows.distinct()


def _sources_without_key(dataset: Dataset) -> list[str]:
    """The sources of several files behind tables without a key."""
    tables = [name for name in dataset.selects if not dataset.contract[name].key]
    sources = {source for table in tables for source in sources_of(dataset, table)}
    return sorted(source for source in sources if len(dataset.files[source]) > 1)


def _find_overlaps(dataset: Dataset, source: str) -> Iterator[FileOverlap]:
    """The pairs of files with equal rows, most rows first; a row counts as often as both files have it."""
    import duckdb

    files, mapping = dataset.files[source], dataset.mapping.sources[source]
    query = f"""
        with counts as (
            select hash(*columns(* exclude ({FILE}))) as row, {FILE} as file, count(*) as copies
            from {_scan(files, mapping)} group by all
        ), repeated as (
            select file, copies, lag(file) over of_row as other, lag(copies) over of_row as before
            from counts window of_row as (partition by row order by file)
        )
        select file, other, sum(least(copies, before))::bigint as rows
        from repeated where other is not null group by all order by rows desc, file, other
    """
    try:
        with duckdb.connect() as connection:
            pairs = connection.execute(query, [[str(file) for file in files]]).fetchall()
    except duckdb.Error as error:
        reason = str(error).partition("\n")[0].rstrip(".")
        raise DataError(f"The files of the source '{source}' cannot be compared: {reason}.", HINT) from None
    for file, other, rows in pairs:
        yield FileOverlap(source, Path(file).name, Path(other).name, rows)


def _scan(files: tuple[Path, ...], mapping: SourceMapping) -> str:
    options = f"union_by_name = true, filename = '{FILE}'"
    if not is_text(files[0]):
        return f"read_parquet($1, {options})"
    if file_kind(files[0]) != "csv":  # JSON lines: equal lines are equal rows
        return f"read_csv($1, columns = {{'line': 'varchar'}}, {LINE_OPTIONS})"
    encoding = "utf-16" if (mapping.encoding or "").startswith("utf-16") else "latin-1"
    delimiter = f", delim = {quote_text(mapping.delimiter)}" if mapping.delimiter else ""
    return f"read_csv($1, {options}, {CSV_OPTIONS}, encoding = '{encoding}'{delimiter})"
