"""The select of a table while it is drafted: an expression per column, conditions, and comments with the evidence."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

import ibis.expr.types as ir

from features.compute.backends.base import Backend
from features.compute.backends.duckdb import quote_name
from features.discovery.recognition import TableMatch
from features.drafting.selects.column_expressions import SourceStyle, column_sql
from features.drafting.selects.decisions import DecisionLog
from features.drafting.selects.spellings import GROUPING_COLUMNS, join_spellings
from features.ingestion.text_values import TextFormat, from_text
from features.tables.contract import ACCOUNT_ID, EVERY_TABLE
from features.tables.raw_table import RawTable


@dataclass
class SelectDraft:
    """A select: `columns` are expressions by contract column; `origin` is what follows `from`.

    `decimal` is the mark of numbers that are text in its source; the columns in `computed` are numbers already.
    """

    table: str
    match: TableMatch | None
    columns: dict[str, str]
    origin: str
    conditions: list[str] = field(default_factory=list)
    comments: list[str] = field(default_factory=list)
    group_by: str = ""
    decimal: str = "."
    computed: set[str] = field(default_factory=set)

    def compute(self, name: str, operation: str) -> None:
        """Apply an operation such as `/ 12` to a column of numbers.

        What is no number becomes NaN, so that validation reports its row.
        """
        value = self.columns[name]
        if name not in self.computed:
            text = f"{value}::varchar" if self.decimal == "." else f"replace({value}::varchar, '{self.decimal}', '.')"
            value = f"coalesce(try_cast({text} as double), case when {value} is not null then 'nan'::double end)"
        self.columns[name] = f"{value} {operation}"
        self.computed.add(name)

    def sql(self) -> str:
        """The text of the select."""
        columns = ",\n       ".join(_aliased(expression, name) for name, expression in self.columns.items())
        where = f"\nwhere {' and '.join(f'({condition})' for condition in self.conditions)}" if self.conditions else ""
        group = f"\ngroup by {self.group_by}" if self.group_by else ""
        return f"select {columns}\nfrom {self.origin}{where}{group}"


def draft_select(match: TableMatch, style: SourceStyle, decisions: DecisionLog, repair: str = "{id}") -> SelectDraft:
    """The select of a recognised table, with no rule but those of its columns."""
    contract = EVERY_TABLE[match.table].columns
    link = match.link
    account = repair.format(id=f"{quote_name(link.column)}::varchar")
    origin = quote_name(match.source.name)
    if link.through:
        key, owner = quote_name(link.through_key or ""), quote_name(link.through_account or "")
        joined = f"(select {key} as link_key, {owner} as link_account from {quote_name(link.through)}) as link"
        account = repair.format(id="link.link_account::varchar")
        origin = f"{origin} join {joined} on {quote_name(link.column)}::varchar = link.link_key::varchar"
    columns = {ACCOUNT_ID: account}
    for name, source_column in match.columns.items():
        profile = match.source.profiles[source_column]
        columns[name] = column_sql(profile, contract[name], style, decisions)
        if name in GROUPING_COLUMNS and not contract[name].values:
            columns[name] = join_spellings(profile, columns[name], decisions)
    in_order = {name: columns[name] for name in contract if name in columns}
    return SelectDraft(match.table, match, in_order, origin, decimal=style.decimal)


def materialise(backend: Backend, draft: SelectDraft, style: SourceStyle) -> RawTable:
    """The rows of a draft in the contract's types, as a table `drafted_NAME`."""
    rows = backend.select(draft.sql())
    contract = EVERY_TABLE[draft.table]
    assert backend.create_table is not None  # DuckDB, which drafts are made on, has it
    table = backend.create_table(f"drafted_{draft.table}", rows.select(**_typed_columns(rows, draft.table, style)))
    return RawTable(contract, table, frozenset(table.columns))


def _aliased(expression: str, name: str) -> str:
    return expression if expression == name else f"{expression} as {name}"


def _typed_columns(rows: ir.Table, table: str, style: SourceStyle) -> Mapping[str, ir.Value]:
    """The columns of a table in the contract's types; what cannot be read is null."""
    form = TextFormat(style.decimal, style.dates, style.zone)
    columns = EVERY_TABLE[table].columns
    return {name: _cast(rows[name], columns[name].type, form) for name in _contract_names(rows, table)}


def _contract_names(rows: ir.Table, table: str) -> Iterable[str]:
    return [name for name in rows.columns if name in EVERY_TABLE[table].columns]


def _cast(value: ir.Value, column_type: str, form: TextFormat) -> ir.Value:
    if column_type == "text":
        return value.cast("string")
    if isinstance(value, ir.StringValue):
        return from_text(value, column_type, form)
    return value.try_cast({"number": "float64", "instant": "timestamp(6)", "flag": "boolean"}[column_type])
