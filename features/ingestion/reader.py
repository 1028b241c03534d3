"""Reading: the data set's files as tables of the contract, every row checked, the bad ones refused or set aside.

A row is judged by the first rule it breaks: a value of the wrong type, a required value missing, an instant without
meaning, a repeated key, an end before its start, an account nobody knows.
"""

# pyright: reportOperatorIssue=false, reportArgumentType=false, reportCallIssue=false, reportAttributeAccessIssue=false
# (the published types of ibis do not cover its operators)

from collections.abc import Mapping

import ibis
import ibis.expr.types as ir

from configs.errors import ConfigError, DataError
from configs.settings import Settings
from features.compute.backends.base import Engine, first_line
from features.compute.backends.connect import open_engine
from features.tables.contract import CONTRACT, Column, Table
from features.tables.mapping import Dataset, read_dataset
from features.tables.point_in_time import STORED
from features.tables.raw_table import IBIS_TYPES, RawTable

MICROSECONDS = 6
EARLIEST, LATEST = "1970-01-02", "2100-01-01"


def read_tables(engine: Engine, dataset: Dataset) -> dict[str, RawTable]:
    """Every table the data set maps, in the contract's columns and types, its rows not yet checked.

    Raises DataError for a missing table or column, ConfigError for a select that does not run.
    """
    absent = [t.name for t in CONTRACT.values() if t.required and t.name not in dataset.selects]
    if absent:
        raise DataError(f"{dataset.mapping}: the table '{absent[0]}' is required and not mapped.", "Add a select.")
    return {name: _in_contract(_select(engine, dataset, name), CONTRACT[name]) for name in dataset.selects}


def account_ids(settings: Settings) -> frozenset[str]:
    """Every account that the data set knows."""
    dataset = read_dataset(settings.data)
    accounts = read_tables(open_engine(settings.engine, dataset), dataset)["accounts"]
    return frozenset(accounts.rows.account_id.to_pyarrow().to_pylist())


def clean(tables: Mapping[str, RawTable]) -> dict[str, RawTable]:
    """The tables in the contract's types, for rows that are known to keep to it."""
    return {name: RawTable(raw.contract, _typed(raw.rows, raw.contract), raw.given) for name, raw in tables.items()}


def _select(engine: Engine, dataset: Dataset, name: str) -> ir.Table:
    try:
        return engine.select(dataset.selects[name])
    except engine.refusals as problem:
        raise ConfigError(f"{dataset.mapping}: the select of '{name}' fails: {first_line(problem)}.") from None


def _in_contract(rows: ir.Table, table: Table) -> RawTable:
    missing = [name for name, column in table.columns.items() if column.required and name not in rows.columns]
    if missing:
        raise DataError(f"{table.name}: the column '{missing[0]}' is missing.", "Map it in the data set's TOML.")
    unknown = [name for name in rows.columns if name not in table.columns]
    if unknown:
        raise DataError(
            f"{table.name}: the column '{unknown[0]}' is not in the contract.",
            f"Leave it out of the select; the columns are {', '.join(table.columns)}.",
        )
    return RawTable(table, rows, frozenset(rows.columns))


def _typed(rows: ir.Table, table: Table) -> ir.Table:
    values = {name: _value(rows, name, column) for name, column in table.columns.items()}
    stored = {table.at + STORED: rows[table.at]} if table.at in rows.columns and _is_foreign(rows[table.at]) else {}
    return rows.select(**values, **stored)


def _is_foreign(instant: ir.Value) -> bool:
    """Whether an instant is stored with a zone or finer than microseconds, so that it is only read through a cast."""
    kind = instant.type()
    return kind.is_timestamp() and (kind.timezone is not None or (kind.scale or 0) > MICROSECONDS)


def _value(rows: ir.Table, name: str, column: Column) -> ir.Value:
    missing = ibis.null(IBIS_TYPES[column.type])
    value = _cast(rows[name], column) if name in rows.columns else missing
    return value if column.default is None else value.fill_null(column.default)


def _cast(value: ir.Value, column: Column) -> ir.Value:
    wanted = IBIS_TYPES[column.type]
    # A cast of what already has the type would hide the column's statistics from the reader of the file.
    if str(value.type()).removeprefix("!") == wanted:
        return value
    return value.cast(wanted) if column.type == "text" else value.try_cast(wanted)
