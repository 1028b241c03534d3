"""Validates raw tables against the contract: rejects invalid rows, or quarantines them and counts them.

A row is reported under the first rule that it breaks: a value of the wrong type, a missing required value, an instant
out of range, a repeated key, an end before its start, an account that does not exist.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import reduce
from pathlib import Path

import ibis
import ibis.expr.types as ir
import pyarrow.parquet as pq

from configs.errors import DataError
from configs.files import atomic_write
from features.ingestion.reader import cast_column, cast_table
from features.tables.contract import ACCOUNT_ID, CONTRACT, TableContract
from features.tables.mapping import Dataset
from features.tables.raw_table import RawTable

EARLIEST, LATEST = "1970-01-02", "2100-01-01"


@dataclass(frozen=True)
class RuleViolation:
    """How many rows of a table break one rule, and an example."""

    table: str
    files: tuple[str, ...]
    rule: str
    rows: int
    example: str

    def __str__(self) -> str:
        rows = "1 row" if self.rows == 1 else f"{self.rows} rows"
        return f"{self.table} ({', '.join(self.files)}): {self.rule} in {rows}, first: {self.example}"


def validate_tables(dataset: Dataset, tables: Mapping[str, RawTable]) -> tuple[RuleViolation, ...]:
    """Every rule that some row breaks, table by table; empty if all rows follow the contract."""
    return tuple(violation for name in tables for violation in _violations(dataset, name, _with_rule(tables, name)))


def raise_for_violations(violations: tuple[RuleViolation, ...]) -> None:
    """Raise DataError for the first violation, if there is one."""
    if violations:
        first, *others = violations
        more = f" And {len(others)} more kinds of invalid rows." if others else ""
        raise DataError(f"{first}.{more}", 'Correct the source, or set data.on_invalid_rows = "quarantine".')


def quarantine_rows(
    tables: Mapping[str, RawTable], violations: tuple[RuleViolation, ...], folder: Path
) -> dict[str, RawTable]:
    """The tables with violations without their invalid rows, which are written to `folder` with the rule they break."""
    valid_tables = {}
    for name in {violation.table for violation in violations}:
        rows, raw = _with_rule(tables, name), tables[name]
        with atomic_write(folder / f"{name}.parquet") as file:
            pq.write_table(rows.filter(rows.breach.notnull()).to_pyarrow(), file)
        valid = cast_table(rows.filter(rows.breach.isnull()), raw.contract)
        valid_tables[name] = RawTable(raw.contract, valid, raw.source_columns)
    return valid_tables


def _with_rule(tables: Mapping[str, RawTable], name: str) -> ir.Table:
    """The rows as they were read, with the first rule that each breaks in `breach`, null if it breaks none."""
    rows, contract = tables[name].rows, tables[name].contract
    accounts = tables["accounts"].rows
    accounts = accounts.select(_account=accounts.account_id.cast("string")).distinct()
    if name != "accounts":
        rows = rows.left_join(accounts, rows.account_id.cast("string") == accounts["_account"])
    else:
        rows = rows.mutate(_account=rows.account_id.cast("string"))
    return rows.mutate(breach=ibis.cases(*_rules(rows, contract), else_=ibis.null("string"))).drop("_account")


def _rules(rows: ir.Table, table: TableContract) -> Iterator[tuple[ir.BooleanValue, str]]:
    columns = {name: column for name, column in table.columns.items() if name in rows.columns}
    values = {name: cast_column(rows[name], column) for name, column in columns.items()}
    for name, column in columns.items():
        yield rows[name].notnull() & values[name].isnull(), f"{name} is not {_with_article(column.type)}"
        if column.required:
            yield rows[name].isnull(), f"{name} is empty"
        if column.type == "instant":
            in_range = values[name].between(ibis.timestamp(EARLIEST), ibis.timestamp(LATEST))
            yield ~in_range, f"{name} is an invalid timestamp"
    if table.key and set(table.key) <= columns.keys():
        position = ibis.row_number().over(ibis.window(group_by=list(table.key), order_by=list(table.key)))
        yield position > 0, f"{' + '.join(table.key)} is repeated"
    for start, end in table.spans:
        if {start, end} <= columns.keys():
            yield values[end] < values[start], f"{end} is before {start}"
    yield rows["_account"].isnull(), f"{ACCOUNT_ID} is not in accounts"


def _with_article(kind: str) -> str:
    return f"an {kind}" if kind == "instant" else f"a {kind}"


def _violations(dataset: Dataset, name: str, rows: ir.Table) -> Iterator[RuleViolation]:
    invalid = rows.filter(rows.breach.notnull())
    text = reduce(
        lambda left, right: left + ", " + right, [_column_text(invalid, c) for c in _key_columns(name, invalid)]
    )
    groups = invalid.mutate(text=text).group_by("breach")
    counts = groups.aggregate(rows=lambda t: t.count(), example=lambda t: t.text.min())
    for rule, count, example in counts.order_by("breach").to_pandas().itertuples(index=False):
        yield RuleViolation(name, _files(dataset, name), rule, int(count), example)


def _column_text(rows: ir.Table, column: str) -> ir.Value:
    return ibis.literal(f"{column}=") + rows[column].cast("string").fill_null("empty")


def _key_columns(name: str, rows: ir.Table) -> list[str]:
    """The columns by which a person finds a row: required ones and instants."""
    columns = CONTRACT[name].columns
    return [c for c in columns if c in rows.columns and (columns[c].required or columns[c].type == "instant")]


def _files(dataset: Dataset, table: str) -> tuple[str, ...]:
    tokens = dataset.selects[table].replace("(", " ").replace(")", " ").replace(",", " ").split()
    return tuple(dataset.files[source][0].name for source in dataset.files if source in tokens)
