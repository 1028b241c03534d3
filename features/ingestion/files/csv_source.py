"""The CSV files of a source as one table of text, with the number of its file beside each row."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, cast

from configs.errors import DataError
from features.compute.backends.base import Backend
from features.compute.backends.connect import create_view
from features.compute.backends.duckdb import quote_name, quote_text
from features.compute.backends.parquet_files import escape_pattern
from features.ingestion.files.csv_file import CsvFile, inspect_csv, invalid_csv_error, transcode
from features.tables.mapping import SourceMapping, is_text

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection
    from ibis.backends.duckdb import Backend as DuckDBBackend

FILE_NUMBER = "oarlock file"
CSV_OPTIONS = (
    "auto_detect = false, header = true, quote = '\"', escape = '\"', nullstr = '', strict_mode = true,"
    " null_padding = false, hive_partitioning = false"
)


@dataclass(frozen=True)
class CsvSource:
    """The CSV files of a source, which are loaded under the name of the source."""

    name: str
    files: tuple[CsvFile, ...]

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns that any of the files has, in the order in which they first come."""
        names = {name.casefold(): name for file in reversed(self.files) for name in reversed(file.columns)}
        return tuple(reversed(names.values()))


@dataclass(frozen=True)
class LoadedSources:
    """The loaded CSV sources, by name."""

    backend: Backend
    sources: Mapping[str, CsvSource]

    def locate(self, names: Iterable[str], text: str) -> str:
        """The first file and column of some sources that hold a text."""
        for source in (self.sources[name] for name in sorted(names) if name in self.sources):
            for column in source.columns:
                number = self._first_file(source, f"trim({quote_name(column)}) = {quote_text(text.strip())}")
                if number is not None:
                    return f"{source.files[number].path}, column '{column}'"
        return ", ".join(sorted(names))

    def have_text_like(self, name: str, pattern: str) -> bool:
        """Whether any value of a source matches a regular expression."""
        if name not in self.sources:
            return False
        columns = map(quote_name, self.sources[name].columns)
        condition = " or ".join(f"regexp_matches({column}, {quote_text(pattern)})" for column in columns)
        return self._first_file(self.sources[name], condition) is not None

    def _first_file(self, source: CsvSource, condition: str) -> int | None:
        query = f"select min({quote_name(FILE_NUMBER)}) from {quote_name(csv_table(source.name))} where {condition}"
        row = connection_of(self.backend).execute(query).fetchone()
        return row[0] if row else None


def load_csv_source(backend: Backend, source: CsvSource, paths: Sequence[Path], scratch: Path) -> None:
    """Load the CSV files as text, and join the Parquet files among the `paths` to them by name.

    Raises DataError, by file, line and column, for a file that is not valid CSV and for columns that cannot be joined.
    """
    connection = connection_of(backend)
    columns = ", ".join(f"{quote_name(name)} varchar" for name in source.columns)
    table = quote_name(csv_table(source.name))
    connection.execute(f"create or replace temp table {table} ({quote_name(FILE_NUMBER)} integer, {columns})")
    for number, file in enumerate(source.files):
        if file.columns:
            _load_file(connection, table, (number, file), scratch)
    rows = f"select * exclude ({quote_name(FILE_NUMBER)}) from {table}"
    parquet = [str(path) for path in paths if not is_text(path)]
    if parquet:
        create_view(backend, _parquet_view(source.name), parquet)
        _require_text(connection, source, parquet[0])
        rows = f"{rows} union all by name select * from {quote_name(_parquet_view(source.name))}"
    connection.execute(f"create or replace temp view {quote_name(source.name)} as {rows}")


def inspect_source(name: str, source: SourceMapping, paths: Sequence[Path]) -> CsvSource:
    """The CSV files of a source; raises DataError if none of its files has a column."""
    files = tuple(inspect_csv(path, source) for path in paths if is_text(path))
    if not any(file.columns for file in files) and len(files) == len(paths):
        raise DataError(f"{files[0].path} is empty.", f"Write a header into it, or remove the source '{name}'.")
    return CsvSource(name, files)


def csv_table(source: str) -> str:
    """The name of the table with the text of a source."""
    return f"csv files of {source}"


def _parquet_view(source: str) -> str:
    return f"parquet files of {source}"


def connection_of(backend: Backend) -> "DuckDBPyConnection":
    """The connection of a DuckDB backend."""
    return cast("DuckDBBackend", backend.connection).con


def _load_file(connection: "DuckDBPyConnection", table: str, numbered: tuple[int, CsvFile], scratch: Path) -> None:
    import duckdb

    number, file = numbered
    path = file.path
    if not file.is_utf8:
        path = scratch / "transcoded.csv"
        transcode(file, path)
    names = ", ".join(quote_name(name) for name in file.columns)
    types = ", ".join(f"{quote_text(name)}: 'VARCHAR'" for name in file.columns)
    options = f"columns = {{{types}}}, delim = {quote_text(file.delimiter)}, {CSV_OPTIONS}"
    rows = f"select {number}, * from read_csv({quote_text(escape_pattern(str(path)))}, {options})"
    try:
        connection.execute(f"insert into {table} ({quote_name(FILE_NUMBER)}, {names}) {rows}")
    except duckdb.Error:
        raise invalid_csv_error(file) from None


def _require_text(connection: "DuckDBPyConnection", source: CsvSource, path: str) -> None:
    """Raise DataError for a column that is text in the CSV files and something else in the Parquet files."""
    columns = connection.execute(f"describe {quote_name(_parquet_view(source.name))}").fetchall()
    shared = {name.casefold() for name in source.columns}
    for name, kind, *_ in columns:
        if name.casefold() in shared and kind != "VARCHAR":
            raise DataError(
                f"{path}: the column '{name}' is {kind.lower()}, and text in {source.files[0].path.name}.",
                "Give the CSV files and the Parquet files a source each, and join them in the select.",
            )
