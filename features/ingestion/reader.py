"""Reads the files of a data set as tables of the contract, not yet validated."""

import weakref
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import ibis
import ibis.expr.datatypes as dt
import ibis.expr.types as ir

from configs.errors import DataError, NotReady
from configs.sections.publishing import EngineSettings
from configs.settings import Settings
from configs.state_dir import StateDir
from features.compute.backends.base import Backend
from features.compute.backends.connect import create_view, open_backend
from features.ingestion.conversion import Conversion, convert_tables, find_conversion, with_values_as_written
from features.ingestion.copies.copied_dataset import fetch_dataset, require_copies
from features.ingestion.select_faults import check_columns, select_rows
from features.ingestion.text_values import from_text, read_word
from features.tables.contract import ColumnContract, TableContract
from features.tables.dataset import Dataset
from features.tables.point_in_time import STORED_SUFFIX
from features.tables.raw_table import IBIS_TYPES, RawTable

MICROSECOND_DIGITS = 6


@dataclass(frozen=True)
class OpenTables:
    """Every table that a data set maps, not yet validated, on an open backend.

    While one of them, or the backend, is kept, the folder of the conversion is not removed.
    """

    backend: Backend
    tables: dict[str, RawTable]
    conversion: Conversion


def open_tables(settings: EngineSettings, dataset: Dataset, folder: Path) -> OpenTables:
    """Every table that the data set maps; those that are read from CSV are converted in `folder`.

    Raises DataError for a missing table or column and for a file that cannot be read, ConfigError for a select that
    does not run.
    """
    _require_tables(dataset)
    require_copies(dataset)
    return _read_conversion(settings, dataset, conversion=convert_tables(settings, dataset, folder), folder=folder)


def open_converted(settings: EngineSettings, dataset: Dataset, folder: Path) -> OpenTables:
    """As `open_tables`, but nothing is converted: raises NotReady if the CSV files are not."""
    _require_tables(dataset)
    require_copies(dataset)
    conversion = find_conversion(dataset, folder)
    if conversion is None:
        raise NotReady("The present CSV files are not converted yet.", "Run `oarlock publish`, which converts them.")
    return _read_conversion(settings, dataset, conversion=conversion, folder=folder)


def read_tables(backend: Backend, dataset: Dataset, conversion: Conversion | None = None) -> dict[str, RawTable]:
    """Every table that the data set maps, with the columns as its selects return them.

    Raises DataError for a missing table or column, ConfigError for a select that does not run.
    """
    _require_tables(dataset)
    converted = conversion.tables if conversion else {}
    tables = {}
    for name in dataset.selects:
        if conversion and name in converted:
            rows = _read_converted(backend, conversion, name)
        else:
            rows = select_rows(backend, dataset, name)
        check_columns(rows.columns, dataset.contract[name])
        tables[name] = RawTable(dataset.contract[name], rows, frozenset(rows.columns))
    return tables


def read_account_ids(settings: Settings, state: StateDir) -> frozenset[str]:
    """Every account in the data set."""
    dataset = fetch_dataset(settings.data, settings.signals)
    accounts = open_tables(settings.engine, dataset, state.converted).tables["accounts"]
    return frozenset(accounts.rows.account_id.cast("string").to_pyarrow().to_pylist())


def cast_tables(tables: Mapping[str, RawTable]) -> dict[str, RawTable]:
    """The tables in the contract's columns and types, for rows that are valid."""
    return {
        name: RawTable(raw.contract, cast_table(raw.rows, raw.contract), raw.source_columns)
        for name, raw in tables.items()
    }


def cast_table(rows: ir.Table, table: TableContract) -> ir.Table:
    """The rows with every column of the contract, in its type; a column that is missing is null."""
    values = {name: _value(rows, name, column) for name, column in table.columns.items()}
    stored = {table.at + STORED_SUFFIX: rows[table.at]} if table.at and _needs_cast(rows, table.at) else {}
    return rows.select(**values, **stored)


def cast_column(value: ir.Value, column: ColumnContract) -> ir.Value:
    """The value in the contract's type and words; a value that cannot be cast is null."""
    target = IBIS_TYPES[column.type]
    if column.values or column.known_values:
        return read_word(value.cast(target), column)
    # A cast to the same type would hide the column's statistics from the file reader.
    if str(value.type()).removeprefix("!") == target:
        return value
    if isinstance(value, ir.StringValue):
        return from_text(value, column.type)
    return value.cast(target) if column.type == "text" else value.try_cast(target)


def _read_conversion(settings: EngineSettings, dataset: Dataset, *, conversion: Conversion, folder: Path) -> OpenTables:
    with ExitStack() as unless_opened:
        if conversion.lock:
            unless_opened.callback(conversion.lock.close)
        backend = open_backend(settings, dataset, folder)
        conversion.keep_for(backend.connection)
        weakref.finalize(backend.connection, id, dataset.copies)  # the lock is held as long as the connection
        unless_opened.pop_all()
    return OpenTables(backend, read_tables(backend, dataset, conversion), conversion)


def _require_tables(dataset: Dataset) -> None:
    missing = [
        table.name for table in dataset.contract.values() if table.required and table.name not in dataset.selects
    ]
    if missing:
        raise DataError(f"{dataset.mapping_file}: the required table '{missing[0]}' is not mapped.", "Add a select.")


def _read_converted(backend: Backend, conversion: Conversion, name: str) -> ir.Table:
    view = f"converted_{name}"
    create_view(backend, view, [str(conversion.folder / f"{name}.parquet")])
    return with_values_as_written(backend.connection.table(view), conversion.tables[name])


def _needs_cast(rows: ir.Table, instant: str) -> bool:
    """Whether an instant is stored with a time zone or finer than microseconds, so that it is only read by a cast."""
    if instant not in rows.columns:
        return False
    kind = rows[instant].type()
    return isinstance(kind, dt.Timestamp) and (kind.timezone is not None or (kind.scale or 0) > MICROSECOND_DIGITS)


def _value(rows: ir.Table, name: str, column: ColumnContract) -> ir.Value:
    value = cast_column(rows[name], column) if name in rows.columns else ibis.null(IBIS_TYPES[column.type])
    return value if column.default is None else value.fill_null(column.default)
