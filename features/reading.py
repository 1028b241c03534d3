"""Reading: the data set's files as tables of the contract, every row checked, the bad ones refused or set aside.

A row is judged by the first rule it breaks: a value of the wrong type, a required value missing, an instant without
meaning, a repeated key, an end before its start, an account nobody knows.
"""

# pyright: reportOperatorIssue=false, reportArgumentType=false, reportCallIssue=false, reportAttributeAccessIssue=false
# (the published types of ibis do not cover its operators)

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import reduce
from pathlib import Path

import ibis
import ibis.expr.types as ir
import pyarrow.parquet as pq

from configs.errors import ConfigError, DataError
from configs.files import replacing
from configs.settings import Settings
from features.cut import STORED
from features.dataset import Dataset, read_dataset
from features.engine import Engine, first_line, open_engine
from features.tables import CONTRACT, Column, Table

IBIS_TYPES = {"text": "string", "number": "float64", "instant": "timestamp", "flag": "boolean"}
MICROSECONDS = 6
EARLIEST, LATEST = "1970-01-02", "2100-01-01"


@dataclass(frozen=True)
class RawTable:
    """One table of the contract as rows that keep to it; `given` are the columns the data set really has."""

    contract: Table
    rows: ir.Table
    given: frozenset[str]

    @property
    def made_of(self) -> str:
        """All that a query over these rows depends on, but for the select behind them."""
        return f"{self.contract.name} {sorted(self.given)} {self.rows!r}"


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


def check_tables(dataset: Dataset, tables: Mapping[str, RawTable]) -> tuple[Breach, ...]:
    """Every rule that some row breaks, most serious table first; empty where all rows keep to the contract."""
    return tuple(breach for name in tables for breach in _breaches(dataset, name, _judged(tables, name)))


def refuse(breaches: tuple[Breach, ...]) -> None:
    """Raise DataError for the first breach, if there is one."""
    first = next(iter(breaches), None)
    if first is not None:
        more = f" And {len(breaches) - 1} more kinds of bad rows." if len(breaches) > 1 else ""
        raise DataError(f"{first}.{more}", 'Mend the source, or set data.bad_rows = "quarantine" to set them aside.')


def quarantine(tables: Mapping[str, RawTable], breaches: tuple[Breach, ...], folder: Path) -> dict[str, RawTable]:
    """The breached tables without their bad rows, which are written to `folder` with the reason beside each."""
    kept = {}
    for name in {breach.table for breach in breaches}:
        judged = _judged(tables, name)
        with replacing(folder / f"{name}.parquet") as file:
            pq.write_table(judged.filter(judged.breach.notnull()).to_pyarrow(), file)
        good = judged.filter(judged.breach.isnull())
        kept[name] = RawTable(tables[name].contract, _typed(good, CONTRACT[name]), tables[name].given)
    return kept


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
