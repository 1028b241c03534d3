"""What can be wrong with the select of a table: it does not run, or its columns are not those of the contract."""

from collections.abc import Iterable, Sequence

import ibis.expr.types as ir

from configs.errors import ConfigError, DataError
from features.compute.backends.base import Backend, describe
from features.ingestion.text_comparisons import cast_numbers, find_text_arithmetic, sources_read
from features.tables.contract import TableContract
from features.tables.dataset import Dataset
from features.tables.select_rules import find_select_fault

SOURCES_HINT = "A select is one SELECT that reads only what the mapping declares under [sources]."
CAST_HINT = "CSV columns are text: cast them in the select, such as cast(mrr as double)."


def select_rows(backend: Backend, dataset: Dataset, table: str, text_columns: Iterable[str] = ()) -> ir.Table:
    """The rows of the select of a table.

    `text_columns` are those of its CSV files. Raises ConfigError for a select that does not run, and for one that is
    more than a SELECT from the sources.
    """
    select = dataset.selects[table]
    try:
        if fault := find_select_fault(select, dataset.files):
            raise ConfigError(f"{dataset.mapping_file}: the select of '{table}' {fault}.", SOURCES_HINT)
        return backend.select(cast_numbers(select, text_columns) if _has_decimal_points(dataset, table) else select)
    except backend.error_types as error:
        raise _arithmetic_error(dataset, table, text_columns) or select_error(dataset, table, error) from None


def _has_decimal_points(dataset: Dataset, table: str) -> bool:
    """Whether a cast reads the numbers of all sources of a table: with a decimal comma it would not."""
    names = sources_read(dataset.selects[table], dataset.files)
    return all(dataset.mapping.sources[name].decimal == "." for name in names)


def _arithmetic_error(dataset: Dataset, table: str, text_columns: Iterable[str]) -> ConfigError | None:
    """The error for a select that failed because it computes with text; None if it failed for another reason."""
    arithmetic = find_text_arithmetic(dataset.selects[table], text_columns)
    if arithmetic is None:
        return None
    expression, cast = arithmetic
    return ConfigError(
        f"{dataset.mapping_file}: the select of '{table}' computes with the text of CSV columns: {expression}.",
        f"Cast each of them, such as {cast}.",
    )


def select_error(dataset: Dataset, table: str, error: Exception) -> ConfigError:
    """The error for a select that the backend rejects."""
    reason = describe(error)
    hint = CAST_HINT if "VARCHAR" in reason or "Could not convert string" in reason else ""
    return ConfigError(f"{dataset.mapping_file}: the select of '{table}' fails: {reason}.", hint)


def check_columns(columns: Sequence[str], table: TableContract) -> None:
    """Raise DataError for a required column that is missing, and for a column that the contract does not have."""
    missing = [name for name, column in table.columns.items() if column.required and name not in columns]
    if missing:
        raise DataError(f"{table.name}: the column '{missing[0]}' is missing.", "Add it to the table's select.")
    unknown = [name for name in columns if name not in table.columns]
    if unknown:
        raise DataError(
            f"{table.name}: the column '{unknown[0]}' is not in the contract.",
            f"Remove it from the select; the columns are {', '.join(table.columns)}.",
        )
