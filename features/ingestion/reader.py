"""Reads the files of a data set as tables of the contract, not yet validated."""

from collections.abc import Mapping

import ibis
import ibis.expr.datatypes as dt
import ibis.expr.types as ir

from configs.errors import ConfigError, DataError
from configs.settings import Settings
from features.compute.backends.base import Backend, first_line
from features.compute.backends.connect import open_backend
from features.ingestion.words import read_word
from features.tables.contract import CONTRACT, ColumnContract, TableContract
from features.tables.mapping import Dataset, read_dataset
from features.tables.point_in_time import STORED_SUFFIX
from features.tables.raw_table import IBIS_TYPES, RawTable

MICROSECOND_DIGITS = 6


def read_tables(backend: Backend, dataset: Dataset) -> dict[str, RawTable]:
    """Every table that the data set maps, with the columns as its selects return them.

    Raises DataError for a missing table or column, ConfigError for a select that does not run.
    """
    missing = [table.name for table in CONTRACT.values() if table.required and table.name not in dataset.selects]
    if missing:
        raise DataError(f"{dataset.mapping_file}: the required table '{missing[0]}' is not mapped.", "Add a select.")
    return {name: _to_raw_table(_select(backend, dataset, name), CONTRACT[name]) for name in dataset.selects}


def read_account_ids(settings: Settings) -> frozenset[str]:
    """Every account in the data set."""
    dataset = read_dataset(settings.data)
    accounts = read_tables(open_backend(settings.engine, dataset), dataset)["accounts"]
    return frozenset(accounts.rows.account_id.to_pyarrow().to_pylist())


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
    return value.cast(target) if column.type == "text" else value.try_cast(target)


def _select(backend: Backend, dataset: Dataset, name: str) -> ir.Table:
    try:
        return backend.select(dataset.selects[name])
    except backend.error_types as error:
        raise ConfigError(f"{dataset.mapping_file}: the select of '{name}' fails: {first_line(error)}.") from None


def _to_raw_table(rows: ir.Table, table: TableContract) -> RawTable:
    missing = [name for name, column in table.columns.items() if column.required and name not in rows.columns]
    if missing:
        raise DataError(f"{table.name}: the column '{missing[0]}' is missing.", "Add it to the table's select.")
    unknown = [name for name in rows.columns if name not in table.columns]
    if unknown:
        raise DataError(
            f"{table.name}: the column '{unknown[0]}' is not in the contract.",
            f"Remove it from the select; the columns are {', '.join(table.columns)}.",
        )
    return RawTable(table, rows, frozenset(rows.columns))


def _needs_cast(rows: ir.Table, instant: str) -> bool:
    """Whether an instant is stored with a time zone or finer than microseconds, so that it is only read by a cast."""
    if instant not in rows.columns:
        return False
    kind = rows[instant].type()
    return isinstance(kind, dt.Timestamp) and (kind.timezone is not None or (kind.scale or 0) > MICROSECOND_DIGITS)


def _value(rows: ir.Table, name: str, column: ColumnContract) -> ir.Value:
    value = cast_column(rows[name], column) if name in rows.columns else ibis.null(IBIS_TYPES[column.type])
    return value if column.default is None else value.fill_null(column.default)
