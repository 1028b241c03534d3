"""Converts the tables that are read from CSV to Parquet in the contract's types, once per content of the data set.

A converted table has the columns of its select. A value that is not of its column's type is null there, and stands as
it was written in a second column, so that validation can count and show it.
"""

import hashlib
import shutil
import tempfile
import weakref
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import IO

import ibis
import ibis.expr.types as ir
import pyarrow as pa
import pyarrow.parquet as pq

from configs.files import lock_for_use, locked_folder, remove_unread, write_json
from configs.sections.publishing import EngineSettings
from configs.stored_files import read_rebuildable, read_stored
from features.compute.backends.base import Backend
from features.compute.backends.connect import create_view
from features.compute.backends.duckdb import open_duckdb, quote_text
from features.compute.backends.spill_folder import SPILL
from features.ingestion.files.csv_source import CsvSource, LoadedSources, inspect_source, load_csv_source
from features.ingestion.select_faults import check_columns, select_error, select_rows
from features.ingestion.text_comparisons import raise_for_text_order, sources_read
from features.ingestion.text_formats import SelectedTable, choose_formats
from features.ingestion.text_values import TextFormat, from_text
from features.tables.dataset import Dataset
from features.tables.mapping import is_text

RULES = 1  # to be raised if the same files are converted differently
AS_WRITTEN = " as written"
SUMMARY = "conversion.json"


@dataclass(frozen=True)
class SourceReading:
    """How the CSV files of a source were read; `missing` are the files that lack a column, by column.

    A source of a `database` is read from a copy.
    """

    source: str
    files: int
    encodings: tuple[str, ...]
    delimiters: tuple[str, ...]
    decimal: str
    dates: str
    missing: Mapping[str, tuple[str, ...]]
    database: str = ""

    def __str__(self) -> str:
        if self.database:
            return f"{self.source}: copied from {self.database}, dates {self.dates}"
        files = "1 CSV file" if self.files == 1 else f"{self.files} CSV files"
        delimiters = " and ".join(repr(delimiter) for delimiter in self.delimiters)
        encodings = " and ".join(self.encodings).upper()
        dates = self.dates.replace("_", " ")
        return (
            f"{self.source}: {files}, {encodings}, separated by {delimiters}, decimal {self.decimal!r}, dates {dates}"
        )


@dataclass(frozen=True)
class Conversion:
    """The converted tables in a folder, and how their sources were read; empty if no table is read from CSV.

    `tables` are the columns of each table with values that are not of their type. The lock keeps the folder from being
    removed until it is closed.
    """

    folder: Path
    tables: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    readings: tuple[SourceReading, ...] = ()
    lock: IO[str] | None = None

    def keep_for(self, reader: object) -> None:
        """Close the lock when `reader`, the connection that reads the folder, is released or this process ends."""
        if self.lock:
            weakref.finalize(reader, self.lock.close)


@dataclass(frozen=True)
class _Summary:
    tables: Mapping[str, tuple[str, ...]]
    sources: tuple[SourceReading, ...]


def convert_tables(settings: EngineSettings, dataset: Dataset, folder: Path) -> Conversion:
    """The tables that are read from CSV, converted in `folder`, unless they are already; older ones are removed.

    Raises DataError for a file that cannot be read, ConfigError for a select that does not run.
    """
    tables = _tables_of_text(dataset)
    if not tables:
        return Conversion(folder)
    target = folder / _key(dataset)
    with locked_folder(folder):
        summary = _read_summary(target)
        if summary is None:
            shutil.rmtree(target, ignore_errors=True)
            _convert(settings, dataset, tables, target)
            summary = read_stored(target / SUMMARY, _Summary, "")
        conversion = Conversion(target, summary.tables, summary.sources, lock_for_use(target))
        remove_unread(folder, keep=target)
    return conversion


def find_conversion(dataset: Dataset, folder: Path) -> Conversion | None:
    """The tables that `convert_tables` converted from the present content; None if it did not. Nothing is converted."""
    if not _tables_of_text(dataset):
        return Conversion(folder)
    target = folder / _key(dataset)
    try:
        lock = lock_for_use(target)
    except FileNotFoundError:
        return None
    summary = _read_summary(target)  # after the lock: whoever removes the folder holds it until nothing is left
    if summary is None:
        lock.close()
        return None
    return Conversion(target, summary.tables, summary.sources, lock)


def with_values_as_written(rows: ir.Table, invalid: tuple[str, ...]) -> ir.Table:
    """The rows in which a value that is not of its column's type is text in quotation marks."""
    columns = {}
    for name in invalid:
        written = rows[name + AS_WRITTEN]
        columns[name] = ibis.ifelse(written.notnull(), '"' + written + '"', rows[name].cast("string"))
    return rows.mutate(**columns).drop(*(name for name in rows.columns if name.endswith(AS_WRITTEN)))


def _tables_of_text(dataset: Dataset) -> dict[str, frozenset[str]]:
    """The sources of each table that reads text."""
    text_sources = _text_sources(dataset)
    tables = {name: sources_read(select, dataset.files) for name, select in dataset.selects.items()}
    return {name: sources for name, sources in tables.items() if sources & text_sources}


def _text_sources(dataset: Dataset) -> frozenset[str]:
    """The sources of CSV files, and those of Parquet files that declare how their text is written."""
    sources = dataset.mapping.sources
    return frozenset(
        name for name, files in dataset.files.items() if any(map(is_text, files)) or sources[name].is_declared
    )


def _key(dataset: Dataset) -> str:
    contract = {
        name: [(c, column.type) for c, column in table.columns.items()] for name, table in dataset.contract.items()
    }
    return hashlib.sha256(f"{RULES} {dataset.content_hash()} {contract}".encode()).hexdigest()[:16]


def _read_summary(target: Path) -> _Summary | None:
    """The summary of converted tables; None if they are missing, or damaged so that their files cannot be opened."""
    summary = read_rebuildable(target / SUMMARY, _Summary)
    try:
        for name in summary.tables if summary else ():
            pq.read_metadata(target / f"{name}.parquet")
    except (pa.ArrowException, OSError):
        return None
    return summary


def _convert(settings: EngineSettings, dataset: Dataset, tables: Mapping[str, frozenset[str]], target: Path) -> None:
    temporary = Path(tempfile.mkdtemp(prefix=".", dir=target.parent))
    try:
        _write_tables(settings, dataset, tables, temporary)
        temporary.rename(target)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def _write_tables(
    settings: EngineSettings, dataset: Dataset, tables: Mapping[str, frozenset[str]], folder: Path
) -> None:
    backend = open_duckdb(settings, folder.parents[1] / SPILL, files=dataset.all_files, folders=[folder])
    loaded = _load_sources(backend, dataset, frozenset().union(*tables.values()), folder)
    text_sources = _text_sources(dataset)
    selected = {
        name: SelectedTable(dataset.contract[name], _select(loaded, dataset, name), sources & text_sources)
        for name, sources in tables.items()
    }
    formats, dates = choose_formats(dataset, selected, loaded)
    invalid: dict[str, list[str]] = {}
    for name, table in selected.items():
        try:
            invalid[name] = _write_table(backend, table, formats[name], folder / f"{name}.parquet")
        except backend.error_types as error:
            raise select_error(dataset, name, error) from None
    readings = [_reading(dataset, source, dates[source.name]) for source in loaded.sources.values()]
    write_json(folder / SUMMARY, {"tables": invalid, "sources": [asdict(reading) for reading in readings]})


def _load_sources(backend: Backend, dataset: Dataset, names: frozenset[str], scratch: Path) -> LoadedSources:
    loaded: dict[str, CsvSource] = {}
    for name in sorted(names):
        files = dataset.files[name]
        if any(map(is_text, files)):
            loaded[name] = inspect_source(name, dataset.mapping.sources[name], files)
            load_csv_source(backend, loaded[name], files, scratch)
        else:
            create_view(backend, name, [str(file) for file in files])
    return LoadedSources(backend, loaded)


def _select(loaded: LoadedSources, dataset: Dataset, name: str) -> ir.Table:
    sources = sources_read(dataset.selects[name], loaded.sources)
    text_columns = [column for source in sources for column in loaded.sources[source].columns]
    raise_for_text_order(dataset, name, text_columns)
    rows = select_rows(loaded.backend, dataset, name, text_columns)
    check_columns(rows.columns, dataset.contract[name])
    return rows


def _write_table(backend: Backend, table: SelectedTable, form: TextFormat, file: Path) -> list[str]:
    """Write a table; returns the columns with values that are not of their type."""
    columns = {}
    for column_type in ("number", "instant", "flag"):
        for name in table.text_columns(column_type):
            text = table.rows[name].cast("string")
            columns[name] = from_text(text, column_type, form)
            columns[name + AS_WRITTEN] = ibis.ifelse(columns[name].isnull(), text, ibis.null("string"))
    query = backend.connection.compile(table.rows.mutate(**columns))
    backend.connection.raw_sql(f"copy ({query}) to {quote_text(str(file))} (format parquet, compression zstd)")
    written = pq.read_table(file, columns=[name for name in columns if name.endswith(AS_WRITTEN)])
    return [name.removesuffix(AS_WRITTEN) for name in written.column_names if written[name].null_count < len(written)]


def _reading(dataset: Dataset, source: CsvSource, dates: str | None) -> SourceReading:
    files = [file for file in source.files if file.columns]
    lacking = {
        column: tuple(file.path.name for file in files if column.casefold() not in map(str.casefold, file.columns))
        for column in source.columns
    }
    return SourceReading(
        source.name,
        len(source.files),
        tuple(sorted({file.encoding for file in files})),
        tuple(sorted({file.delimiter for file in files})),
        dataset.mapping.sources[source.name].decimal,
        dates or "ISO 8601",
        {column: names for column, names in lacking.items() if names},
        dataset.mapping.sources[source.name].database or "",
    )
