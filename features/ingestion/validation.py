"""Checks raw tables against the contract: refuses rows that break a rule, or sets them aside and counts them."""

# pyright: reportOperatorIssue=false, reportArgumentType=false, reportCallIssue=false, reportAttributeAccessIssue=false
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import reduce
from pathlib import Path

import ibis
import ibis.expr.types as ir
import pyarrow.parquet as pq

from configs.errors import DataError
from configs.files import atomic_write
from features.ingestion.reader import EARLIEST, LATEST, _cast, _typed
from features.tables.contract import CONTRACT, Table
from features.tables.mapping import Dataset
from features.tables.raw_table import RawTable


@dataclass(frozen=True)
class Breach:
    """How many rows of a table broke one rule, and the first of them."""

    table: str
    files: tuple[str, ...]
    why: str
    rows: int
    first: str

    def __str__(self) -> str:
        rows = "1 row" if self.rows == 1 else f"{self.rows} rows"
        return f"{self.table} ({', '.join(self.files)}): {self.why} in {rows}, first: {self.first}"


def check_tables(dataset: Dataset, tables: Mapping[str, RawTable]) -> tuple[Breach, ...]:
    """Every rule that some row breaks, most serious table first; empty where all rows keep to the contract."""
    return tuple(breach for name in tables for breach in _breaches(dataset, name, _judged(tables, name)))


def refuse(breaches: tuple[Breach, ...]) -> None:
    """Raise DataError for the first breach, if there is one."""
    first = next(iter(breaches), None)
    if first is not None:
        more = f" And {len(breaches) - 1} more kinds of bad rows." if len(breaches) > 1 else ""
        raise DataError(
            f"{first}.{more}", 'Fix the source, or set data.on_invalid_rows = "quarantine" to set them aside.'
        )


def quarantine(tables: Mapping[str, RawTable], breaches: tuple[Breach, ...], folder: Path) -> dict[str, RawTable]:
    """The breached tables without their bad rows, which are written to `folder` with the reason beside each."""
    kept = {}
    for name in {breach.table for breach in breaches}:
        judged = _judged(tables, name)
        with atomic_write(folder / f"{name}.parquet") as file:
            pq.write_table(judged.filter(judged.breach.notnull()).to_pyarrow(), file)
        good = judged.filter(judged.breach.isnull())
        kept[name] = RawTable(tables[name].contract, _typed(good, CONTRACT[name]), tables[name].given)
    return kept


def _judged(tables: Mapping[str, RawTable], name: str) -> ir.Table:
    """The rows as they came, with the first rule that each breaks in `breach`, null where it breaks none."""
    rows, contract = tables[name].rows, tables[name].contract
    accounts = tables["accounts"].rows
    known = accounts.select(_known=accounts.account_id.cast("string")).distinct()
    if name != "accounts":
        rows = rows.left_join(known, rows.account_id.cast("string") == known["_known"])
    else:
        rows = rows.mutate(_known=rows.account_id.cast("string"))
    rules = [(broken, why) for broken, why in _rules(rows, contract)]
    return rows.mutate(breach=ibis.cases(*rules, else_=ibis.null("string"))).drop("_known")


def _rules(rows: ir.Table, table: Table) -> Iterator[tuple[ir.BooleanValue, str]]:
    given = {name: column for name, column in table.columns.items() if name in rows.columns}
    for name, column in given.items():
        cast = _cast(rows[name], column)
        yield rows[name].notnull() & cast.isnull(), f"{name} is not {_article(column.type)}"
        if column.required:
            yield rows[name].isnull(), f"{name} is empty"
        if column.type == "instant":
            yield ~cast.between(ibis.timestamp(EARLIEST), ibis.timestamp(LATEST)), f"{name} is no meaningful instant"
    if table.key and set(table.key) <= given.keys():
        first = ibis.row_number().over(ibis.window(group_by=list(table.key), order_by=list(table.key)))
        yield first > 0, f"{' + '.join(table.key)} is there more than once"
    for start, end in table.spans:
        if {start, end} <= given.keys():
            late = _cast(rows[end], given[end]) < _cast(rows[start], given[start])
            yield late, f"{end} lies before {start}"
    yield rows["_known"].isnull(), "account_id is not in accounts"


def _article(kind: str) -> str:
    return f"an {kind}" if kind == "instant" else f"a {kind}"


def _breaches(dataset: Dataset, name: str, judged: ir.Table) -> Iterator[Breach]:
    bad = judged.filter(judged.breach.notnull())
    shown = reduce(lambda text, part: text + ", " + part, [_shown(bad, column) for column in _telling(name, bad)])
    found = (
        bad.mutate(shown=shown).group_by("breach").aggregate(rows=lambda t: t.count(), first=lambda t: t.shown.min())
    )
    for why, rows, first in found.order_by("breach").to_pandas().itertuples(index=False):
        yield Breach(name, _files(dataset, name), why, int(rows), first)


def _shown(rows: ir.Table, column: str) -> ir.StringValue:
    return ibis.literal(f"{column}=") + rows[column].cast("string").fill_null("empty")


def _telling(name: str, rows: ir.Table) -> list[str]:
    """The columns that let a person find the row: its key, its instants, and what it must not lack."""
    columns = CONTRACT[name].columns
    return [c for c in columns if c in rows.columns and (columns[c].required or columns[c].type == "instant")]


def _files(dataset: Dataset, table: str) -> tuple[str, ...]:
    words = dataset.selects[table].replace("(", " ").replace(")", " ").replace(",", " ").split()
    return tuple(dataset.files[source][0].name for source in dataset.files if source in words)
