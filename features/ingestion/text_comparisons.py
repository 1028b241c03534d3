"""What a select reads, and where it orders or computes with CSV columns that it has not cast: as text, 9 exceeds 10.

What only numbers can be computed with is cast here. A sum or difference of two columns may be of dates: it fails by
itself, and is named here. A minimum or a comparison would give another answer without a word.
"""

from collections.abc import Iterable, Iterator

import sqlglot
from sqlglot import expressions as sge
from sqlglot.errors import SqlglotError

from configs.errors import ConfigError
from features.compute.backends.base import MAPPING_DIALECT
from features.tables.dataset import Dataset

COMPARISONS = (sge.LT, sge.LTE, sge.GT, sge.GTE, sge.Between)
EXTREMES = (sge.Min, sge.Max, sge.Greatest, sge.Least)
OF_NUMBERS = (sge.Mul, sge.Div, sge.IntDiv, sge.Mod, sge.Neg, sge.Sum, sge.Avg, sge.Round, sge.Abs)
ARITHMETIC = (sge.Add, sge.Sub, *OF_NUMBERS)
ORDERED_BY = (sge.ArgMin, sge.ArgMax)


def raise_for_text_order(dataset: Dataset, table: str, text_columns: Iterable[str]) -> None:
    """Raise ConfigError if the select of a table orders a column of CSV files as text."""
    try:
        tree = sqlglot.parse_one(dataset.selects[table], dialect=MAPPING_DIALECT)
    except SqlglotError:
        return
    names = {name.casefold() for name in text_columns} - set(_cast_names(tree))
    for expression, column in _ordered_columns(tree):
        if column.name.casefold() in names:
            written = expression.sql(dialect=MAPPING_DIALECT)
            cast = f"cast({column.sql(dialect=MAPPING_DIALECT)} as double)"
            raise ConfigError(
                f"{dataset.mapping_file}: the select of '{table}' orders the text of a CSV column: {written}.",
                f"Write {cast}, or as timestamp or varchar if that is meant.",
            )


def find_text_arithmetic(select: str, text_columns: Iterable[str]) -> tuple[str, str] | None:
    """The first expression of a select that computes with CSV columns as text, and their casts; None without one."""
    try:
        tree = sqlglot.parse_one(select, dialect=MAPPING_DIALECT)
    except SqlglotError:
        return None
    computed = next(_computed_columns(tree, text_columns, ARITHMETIC), None)
    if computed is None:
        return None
    expression, columns = computed
    return _sql(expression), ", ".join(f"{_sql(column)}::double" for column in columns)


def cast_numbers(select: str, text_columns: Iterable[str]) -> str:
    """The select with a cast of every CSV column that it computes with as only numbers can be.

    >>> cast_numbers("select price * seats as mrr from crm", ["price", "seats"])
    'SELECT CAST(price AS DOUBLE) * CAST(seats AS DOUBLE) AS mrr FROM crm'
    """
    try:
        tree = sqlglot.parse_one(select, dialect=MAPPING_DIALECT)
    except SqlglotError:
        return select
    computed = [column for _, columns in _computed_columns(tree, text_columns, OF_NUMBERS) for column in columns]
    for column in computed:
        column.replace(sge.cast(column.copy(), "double"))
    return _sql(tree) if computed else select


def _computed_columns(
    tree: sge.Expr, text_columns: Iterable[str], kinds: tuple[type[sge.Expr], ...]
) -> Iterator[tuple[sge.Expr, list[sge.Column]]]:
    """The expressions of these kinds that compute with bare columns of CSV files, with those columns."""
    names = {name.casefold() for name in text_columns} - set(_cast_names(tree))
    for expression in tree.find_all(*kinds):
        columns = [operand for operand in _operands(expression) if isinstance(operand, sge.Column)]
        if bare := [column for column in columns if column.name.casefold() in names]:
            yield expression, bare


def _sql(expression: sge.Expr) -> str:
    return expression.sql(dialect=MAPPING_DIALECT)


def _cast_names(tree: sge.Expr) -> Iterator[str]:
    """The names that some part of the select gives to a value that it casts."""
    for alias in tree.find_all(sge.Alias):
        if alias.this.find(sge.Cast, sge.TryCast, sge.StrToTime):
            yield alias.alias.casefold()


def _ordered_columns(tree: sge.Expr) -> Iterator[tuple[sge.Expr, sge.Column]]:
    """The expressions whose value depends on the order of bare columns, with each such column."""
    for expression in tree.find_all(*COMPARISONS, *EXTREMES, *ORDERED_BY):
        operands = [expression.args.get("expression")] if isinstance(expression, ORDERED_BY) else _operands(expression)
        columns = [operand for operand in operands if isinstance(operand, sge.Column)]
        # DuckDB converts text that is compared with a value that is not text, or fails.
        is_comparison = isinstance(expression, COMPARISONS)
        if is_comparison and not all(_is_text(operand) for operand in operands):
            continue
        yield from ((expression, column) for column in columns)


def _operands(expression: sge.Expr) -> list[object]:
    values = [value for value in expression.args.values() if value is not None]
    flat = [item for value in values for item in (value if isinstance(value, list) else [value])]
    return [item.unnest() if isinstance(item, sge.Paren) else item for item in flat if isinstance(item, sge.Expr)]


def _is_text(operand: object) -> bool:
    return isinstance(operand, sge.Column) or (isinstance(operand, sge.Literal) and operand.is_string)


def sources_read(select: str, sources: Iterable[str]) -> frozenset[str]:
    """The sources that a select names as tables; all of them for a select that cannot be parsed."""
    try:
        tree = sqlglot.parse_one(select, dialect=MAPPING_DIALECT)
    except SqlglotError:
        return frozenset(sources)
    names = {table.name.casefold() for table in tree.find_all(sge.Table)}
    return frozenset(source for source in sources if source.casefold() in names)
