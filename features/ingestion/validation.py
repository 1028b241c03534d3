"""Validates raw tables against the contract: rejects invalid rows, or quarantines them and counts them.

A row is reported under the first rule that it breaks: column by column a value of the wrong type, a missing required
value, a word or a number outside the contract; then an end before its start, and an account that does not exist.

Of the rows with one key that break no other rule, one counts and the others are reported as repeated. It is the one
with the latest `recorded_at`, then with the latest of its other instants, then with the highest of its other values,
in the order of the contract's columns, an empty one last. Equal rows are the only ones that this does not tell apart,
so the choice is the same in every query, whatever the order of the rows or the files. Where the contract says that a
column is to be decided by the key, and these rows have several values in it, none of them counts.
"""

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import reduce
from pathlib import Path
from typing import Any

import ibis
import ibis.expr.types as ir
import pyarrow.parquet as pq

from configs.account_ids import account_id_fault
from configs.errors import DataError
from configs.files import atomic_write
from features.compute.backends.base import Backend
from features.ingestion.reader import cast_column, cast_table
from features.ingestion.row_location import locate_row
from features.ingestion.text_comparisons import sources_read
from features.ingestion.text_values import fold_word
from features.tables.contract import ACCOUNT_ID, ColumnContract, NumberRange, TableContract
from features.tables.dataset import Dataset
from features.tables.own_contract import FLAG_WORDS, TRUE
from features.tables.raw_table import RawTable

EARLIEST, LATEST = "1970-01-02", "2100-01-01"
# All but printable ASCII without outer spaces: few ids, each looked at by `account_id_fault`.
UNUSUAL_ID = r"[^ -~]|^ | $|^$"
NOT_IN_FORM = "holds a control character, begins or ends with white space, or is not in the Unicode form NFC"
NOT_IN_ACCOUNTS = f"{ACCOUNT_ID} is not in accounts"
MAX_UNKNOWN_IDS, SHOWN_IDS = 1_000, 20
SMALLEST_SHARE = 0.001  # a smaller share of a table is not told apart from 0.1 %


@dataclass(frozen=True)
class RuleViolation:
    """How many rows of a table break one rule, which share of the table that is, and an example.

    `files` are those of the table, or file and line of the example where they are known. `unknown_ids` are the accounts
    of the rows that are not in accounts, the first MAX_UNKNOWN_IDS, and `unknown_accounts` is how many there are.
    """

    table: str
    files: tuple[str, ...]
    rule: str
    rows: int
    share: float
    example: str
    unknown_ids: tuple[str, ...] = ()
    unknown_accounts: int = 0

    @property
    def unknown_text(self) -> str:
        """The accounts that are not in accounts; empty if there is none."""
        if not self.unknown_ids:
            return ""
        shown = self.unknown_ids[:SHOWN_IDS]
        hidden = self.unknown_accounts - len(shown)
        more = f" and {hidden:,} more" if hidden else ""
        count = "1 unknown id" if self.unknown_accounts == 1 else f"{self.unknown_accounts:,} unknown ids"
        return f"{count}: {', '.join(shown)}{more}"

    @property
    def share_text(self) -> str:
        """The share of the table in percent."""
        return "under 0.1 %" if self.share < SMALLEST_SHARE else f"{100 * self.share:.3g} %"

    def __str__(self) -> str:
        rows = "1 row" if self.rows == 1 else f"{self.rows:,} rows"
        size = f"{rows} ({self.share_text} of the table)"
        unknown = f"; {self.unknown_text}" if self.unknown_ids else ""
        return f"{self.table} ({', '.join(self.files)}): {self.rule} in {size}, first: {self.example}{unknown}"


@dataclass(frozen=True)
class _Rule:
    """What a row breaks, and the column whose value shows it."""

    broken: ir.BooleanValue
    text: str
    column: str


def validate_tables(dataset: Dataset, tables: Mapping[str, RawTable]) -> tuple[RuleViolation, ...]:
    """Every rule that some row breaks, table by table; empty if all rows follow the contract."""
    malformed = find_malformed_ids(tables)
    violations: list[RuleViolation] = []
    for name in tables:
        rows = mark_invalid_rows(tables, name, malformed)
        for counts, key in _count_violations(tables[name].contract, rows):
            files = locate_row(dataset, sources_of(dataset, name), key) or _files(dataset, name)
            unknown = _unknown_accounts(rows) if counts[0] == NOT_IN_ACCOUNTS else ((), 0)
            violations.append(RuleViolation(name, files, *counts, *unknown))
    return tuple(violations)


def _unknown_accounts(rows: ir.Table) -> tuple[tuple[str, ...], int]:
    """The first of the ids that are not in accounts, in order, and how many there are."""
    unknown = rows.filter(rows.breach == NOT_IN_ACCOUNTS)
    ids = unknown.select(id=unknown[ACCOUNT_ID].cast("string")).distinct()
    count: int = ids.count().to_pyarrow().as_py()
    return tuple(ids.order_by("id").limit(MAX_UNKNOWN_IDS).to_pyarrow()["id"].to_pylist()), count


class InvalidRows(DataError):
    """Rows break the contract; the message names the first of the `violations`."""

    def __init__(self, message: str, hint: str, *, violations: tuple[RuleViolation, ...]) -> None:
        super().__init__(message, hint)
        self.violations = violations


def raise_for_violations(violations: tuple[RuleViolation, ...]) -> None:
    """Raise InvalidRows if there is a violation."""
    if violations:
        first, *others = violations
        kinds = "1 more kind" if len(others) == 1 else f"{len(others)} more kinds"
        more = f" And {kinds} of invalid rows; `oarlock validate` lists them." if others else ""
        merged = " If accounts were merged, map each old id to the one that is left." if first.unknown_ids else ""
        hint = f'Correct the source, or set data.on_invalid_rows = "quarantine".{merged}'
        raise InvalidRows(f"{first}.{more}", hint, violations=violations)


def quarantine_rows(
    backend: Backend, tables: Mapping[str, RawTable], violations: tuple[RuleViolation, ...], folder: Path
) -> dict[str, RawTable]:
    """The tables with violations without their invalid rows, which are written to `folder` with the rule they break."""
    valid_tables, malformed = {}, find_malformed_ids(tables)
    for name in sorted({violation.table for violation in violations}):
        rows, raw = mark_invalid_rows(tables, name, malformed), tables[name]
        with atomic_write(folder / f"{name}.parquet") as file:
            pq.write_table(rows.filter(rows.breach.notnull()).to_pyarrow(), file)
        valid = cast_table(rows.filter(rows.breach.isnull()), raw.contract)
        if backend.create_table and raw.contract.key:  # repeated keys are looked for once, and not on every day again
            valid = backend.create_table(f"valid_{name}", valid)
        valid_tables[name] = RawTable(raw.contract, valid, raw.source_columns)
    return valid_tables


def find_malformed_ids(tables: Mapping[str, RawTable]) -> tuple[str, ...]:
    """The ids of accounts that are not in the one form of an id."""
    rows = tables["accounts"].rows
    ids = rows.select(id=rows.account_id.cast("string")).distinct()
    unusual = ids.filter(ids.id.re_search(UNUSUAL_ID)).to_pyarrow()["id"].to_pylist()
    return tuple(account_id for account_id in unusual if account_id_fault(account_id))


def mark_invalid_rows(tables: Mapping[str, RawTable], name: str, malformed: tuple[str, ...] = ()) -> ir.Table:
    """The rows as they were read, with the first rule that each breaks in `breach`, null if it breaks none.

    `malformed` are the ids of accounts that are not in their form; no row may have one.
    """
    contract, rows = tables[name].contract, _with_account(tables, name, malformed)
    rules = [(rule.broken, rule.text) for rule in _rules(rows, contract)]
    joined = ("_account", *(f"_account_{column}" for column in _account_columns(rows, contract)))
    rows = rows.mutate(breach=ibis.cases(*rules, else_=ibis.null("string"))).drop(*joined)
    if contract.decided and {contract.decided, *contract.key} <= set(rows.columns):
        contradicts = _contradicts(rows, contract, contract.decided)
        rows = rows.mutate(breach=contradicts.ifelse(_contradiction_text(contract), rows.breach))
    if contract.key and set(contract.key) <= set(rows.columns):
        rows = rows.mutate(breach=_is_repeated(rows, contract).ifelse(_repeated_text(contract), rows.breach))
    return rows


def _with_account(tables: Mapping[str, RawTable], name: str, malformed: tuple[str, ...]) -> ir.Table:
    """The rows with `_account`, the account that they belong to, null if it does not exist or has no proper id."""
    rows, accounts = tables[name].rows, tables["accounts"].rows
    if name == "accounts":
        account_id = rows.account_id.cast("string")
        return rows.mutate(_account=_is_one_of(account_id, malformed).ifelse(ibis.null("string"), account_id))
    accounts = accounts.select(_account=accounts.account_id.cast("string")).distinct()
    accounts = accounts.filter(~_is_one_of(accounts["_account"], malformed))
    rows = rows.left_join(accounts, rows.account_id.cast("string") == accounts["_account"])
    for column in _account_columns(rows, tables[name].contract):
        others = accounts.select(**{f"_account_{column}": accounts["_account"]})
        rows = rows.left_join(others, rows[column].cast("string") == others[f"_account_{column}"])
    return rows


def _account_columns(rows: ir.Table, table: TableContract) -> list[str]:
    """The columns that name another account."""
    return [name for name, column in table.columns.items() if column.is_account and name in rows.columns]


def _is_one_of(account_id: ir.Value, ids: tuple[str, ...]) -> ir.BooleanValue:
    """Whether an id is one of these, by its hash: SQL has no text with a NUL in it."""
    if not ids:
        no_row: Any = ibis.literal(value=False)
        return no_row
    hashes = [hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest() for text in ids]
    text: Any = account_id
    return text.hexdigest("sha256").isin(hashes)


def _rules(rows: ir.Table, table: TableContract) -> Iterator[_Rule]:
    """The rules that a row can break by itself, in the order in which they are reported."""
    columns = {name: column for name, column in table.columns.items() if name in rows.columns}
    values = {name: cast_column(rows[name], column) for name, column in columns.items()}
    for name, column in columns.items():
        for broken, text in (*_type_rules(rows[name], values[name], column), *_value_rules(name, values, column)):
            yield _Rule(broken, f"{name} {text}", name)
    for start, end in table.spans:
        if {start, end} <= columns.keys():
            yield _Rule(values[end] < values[start], f"{end} is before {start}", end)
    for name in _account_columns(rows, table):
        yield _Rule(rows[f"_account_{name}"].isnull(), f"{name} is not in accounts", name)
    missing = NOT_IN_ACCOUNTS if table.name != "accounts" else f"{ACCOUNT_ID} {NOT_IN_FORM}"
    yield _Rule(rows["_account"].isnull(), missing, ACCOUNT_ID)


def _type_rules(raw: ir.Value, value: ir.Value, column: ColumnContract) -> Iterator[tuple[ir.BooleanValue, str]]:
    is_text = column.type == "text"
    if not is_text:
        yield raw.notnull() & value.isnull(), f"is not {_with_article(column.type)}"
    if column.required:
        yield (value if is_text else raw).isnull(), "is empty"
    if column.type == "instant":
        yield ~value.between(ibis.timestamp(EARLIEST), ibis.timestamp(LATEST)), "is an invalid timestamp"
    if column.type == "number":
        yield value.isnan() | value.isinf(), "is NaN or infinite"


def _value_rules(
    name: str, values: Mapping[str, ir.Value], column: ColumnContract
) -> Iterator[tuple[ir.BooleanValue, str]]:
    value = values[name]
    if column.values:
        yield ~value.isin(column.values), f"is none of {', '.join(column.values)}"
    if column.reserved:
        is_other = (fold_word(value) == column.reserved) & (value != column.reserved)
        yield is_other, f"is {column.reserved} in another spelling"
    if column.range:
        yield _is_outside(value, column.range), _outside(column.range)
    if column.range_by and column.range_by in values:
        word, text = values[column.range_by], value.cast("string")
        if column.number_for:
            yield word.isin(column.number_for) & value.notnull() & ~_is_finite(text), "is not a finite number"
        if column.flag_for:
            yield word.isin(column.flag_for) & ~text.lower().isin(FLAG_WORDS), f"is none of {', '.join(FLAG_WORDS)}"
        for word, limits in column.ranges.items():
            yield (values[column.range_by] == word) & _is_outside(value, limits), f"{_outside(limits)} for {word}"


def _is_finite(text: ir.Value) -> ir.BooleanValue:
    number = text.try_cast("float64")
    return number.notnull() & ~number.isnan() & ~number.isinf()


def _is_outside(value: ir.Value, limits: NumberRange) -> ir.BooleanValue:
    outside = [
        *([] if limits.minimum is None else [value < limits.minimum]),
        *([] if limits.maximum is None else [value > limits.maximum]),
        *([] if limits.above is None else [value <= limits.above]),
    ]
    return reduce(lambda left, right: left | right, outside)


def _outside(limits: NumberRange) -> str:
    return f"is outside {limits}" if limits.maximum is not None else f"is not {limits}"


def _contradicts(rows: ir.Table, table: TableContract, decided: str) -> ir.BooleanValue:
    """Whether valid rows of one key have several values in the column that they are to decide."""
    columns = {name: column for name, column in table.columns.items() if name in rows.columns}
    values = {name: cast_column(rows[name], column) for name, column in columns.items()}
    keys = [values[name] for name in table.key]
    same_key = ibis.window(group_by=[*keys, rows.breach.isnull()])
    value = _comparable(values, decided, columns[decided])
    differs = value.min().over(same_key) != value.max().over(same_key)
    filled = value.count().over(same_key)
    is_partly_empty = (filled > 0) & (filled < rows.count().over(same_key))
    return rows.breach.isnull() & _has_key(keys) & (differs | is_partly_empty)


def _comparable(values: Mapping[str, ir.Value], name: str, column: ColumnContract) -> ir.Value:
    """The value as a text that is the same for numbers, or flags, that are the same, such as 10 and 10.0."""
    text: Any = values[name].cast("string")
    if column.range_by is None or column.range_by not in values:
        return text
    word, is_true = values[column.range_by], text.lower().isin(TRUE)
    number = (text.try_cast("float64") + 0.0).cast("string")  # -0.0 and 0.0 are one number
    return ibis.cases(
        (word.isin(column.number_for) & number.notnull(), number),
        (word.isin(column.flag_for) & text.notnull(), is_true.ifelse("true", "false")),
        else_=text,
    )


def _has_key(keys: list[ir.Value]) -> ir.BooleanValue:
    return reduce(lambda left, right: left & right, [key.notnull() for key in keys])


def _is_repeated(rows: ir.Table, table: TableContract) -> ir.BooleanValue:
    """Whether a row repeats the key of another that counts; a key with an empty part repeats no other."""
    columns = {name: column for name, column in table.columns.items() if name in rows.columns}
    values = {name: cast_column(rows[name], column) for name, column in columns.items()}
    keys = [values[name] for name in table.key]
    order = [values[name] for name in _deciding_columns(columns)]
    # Values that were written differently and read alike come last, so that the choice is total.
    order += [rows[name].cast("string") for name, value in values.items() if not value.equals(rows[name])]
    window = ibis.window(
        group_by=[*keys, rows.breach.isnull()], order_by=[ibis.desc(value, nulls_first=False) for value in order]
    )
    return rows.breach.isnull() & _has_key(keys) & (ibis.row_number().over(window) > 0)


def _deciding_columns(columns: Mapping[str, ColumnContract]) -> list[str]:
    """The columns that decide which of the rows with one key counts, the first one first."""
    return sorted(columns, key=lambda name: (name != "recorded_at", columns[name].type != "instant"))


def _contradiction_text(table: TableContract) -> str:
    return f"{' + '.join(table.key)} has several values in {table.decided}"


def _repeated_text(table: TableContract) -> str:
    return f"{' + '.join(table.key)} is repeated"


def _with_article(kind: str) -> str:
    return f"an {kind}" if kind == "instant" else f"a {kind}"


def _count_violations(
    table: TableContract, rows: ir.Table
) -> Iterator[tuple[tuple[str, int, float, str], tuple[str, ...]]]:
    """The rule, the rows, their share of the table and an example with its key, for every rule that some row breaks."""
    keys = [name for name in _key_columns(table, rows) if table.columns[name].type == "text"]
    text = rows.breach.isnull().ifelse(ibis.null("string"), _example(table, rows))
    groups = rows.mutate(text=text).group_by("breach")
    example_keys: dict[str, Any] = {f"key {name}": _of_example(name) for name in keys}
    counts = groups.aggregate(rows=lambda t: t.count(), example=lambda t: t.text.min(), **example_keys)
    counts = counts.order_by("breach").to_pyarrow()
    total = sum(counts["rows"].to_pylist())
    for group in counts.to_pylist():
        if group["breach"] is not None:
            counted = group["breach"], group["rows"], group["rows"] / total, group["example"]
            yield counted, tuple(filter(None, (group[f"key {name}"] for name in keys)))


def _of_example(column: str) -> Any:
    """The value of a column in the row of the example, which is the first by its text."""
    text: Any = ibis._[column].cast("string")
    return text.argmin(ibis._.text)


def _example(table: TableContract, rows: ir.Table) -> ir.Value:
    """The columns by which a person finds a row, and the one that breaks the rule."""
    key_columns = _key_columns(table, rows)
    key = reduce(lambda left, right: left + ", " + right, [_column_text(rows, name) for name in key_columns])
    named = {f"_account_{name}": rows[name].cast("string") for name in _account_columns(rows, table)}
    rules = _rules(rows.mutate(_account=rows[ACCOUNT_ID].cast("string"), **named), table)
    others = {rule.text: rule.column for rule in rules if rule.column not in key_columns}
    if table.decided:
        others[_contradiction_text(table)] = table.decided
    shown = [(rows.breach == text, ibis.literal(", ") + _column_text(rows, name)) for text, name in others.items()]
    return key + ibis.cases(*shown, else_="") if shown else key


def _column_text(rows: ir.Table, column: str) -> ir.Value:
    return ibis.literal(f"{column}=") + rows[column].cast("string").fill_null("empty")


def _key_columns(table: TableContract, rows: ir.Table) -> list[str]:
    """The columns by which a person finds a row: required ones and instants."""
    columns = table.columns
    return [c for c in columns if c in rows.columns and (columns[c].required or columns[c].type == "instant")]


def sources_of(dataset: Dataset, table: str) -> list[str]:
    """The sources that a table's select reads."""
    names = sources_read(dataset.selects[table], dataset.files)
    return [source for source in dataset.files if source in names]


def _files(dataset: Dataset, table: str) -> tuple[str, ...]:
    """The files of the sources that a select reads: by name, or by the mapping's pattern if there are several."""
    sources = sources_of(dataset, table)
    return tuple(
        dataset.files[source][0].name if len(dataset.files[source]) == 1 else dataset.mapping.sources[source].files
        for source in sources
    )
