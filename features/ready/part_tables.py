"""Computes the rows that ready mappings give each table, matched to the accounts of the first one."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import ibis.expr.types as ir

from configs.errors import DataError
from features.compute.backends.base import Backend, describe
from features.drafting.selects.decisions import DecisionLog, Query
from features.ingestion.reader import cast_table
from features.ingestion.select_faults import check_columns
from features.ingestion.text_values import TextFormat, from_text
from features.ready.combined_tables import CombinedTable, with_kept_ids
from features.ready.losses import part_table
from features.ready.match_keys import ACCOUNT_KEYS, find_match_key
from features.ready.part import MergedIds, ReadyPart, TableText
from features.ready.table_owners import ACCOUNTS
from features.tables.contract import CONTRACT, TableContract
from features.tables.raw_table import RawTable

ADDED_COLUMNS = ("segment", "industry", "country", "employees", "owner", "channel")


@dataclass(frozen=True)
class PartTables:
    """The backend with the sources of all parts, and the order in which the dates of each part are written."""

    backend: Backend
    query: Query
    decisions: DecisionLog
    orders: Mapping[str, str | None]

    def compute(self, parts: Sequence[ReadyPart], matches: Mapping[str, str]) -> list[ReadyPart]:
        """Compute the tables of each part as `PART_gives_TABLE`; returns the parts as they match the accounts.

        The first part gives the accounts. `matches` are the parts whose key a person named.
        """
        base, *others = parts
        merged = _merged_ids(base)
        self._compute(base.name, ACCOUNTS, base.tables[ACCOUNTS])
        self._collect_keys(base, merged)
        fitted = [part if part.name in matches else find_match_key(part, self.query, self.decisions) for part in others]
        fitted = [base, *(_with_kept_ids(part, merged) if merged else part for part in fitted)]
        for part in fitted:
            for table, text in part.tables.items():
                self._compute(part.name, table, text)
        return fitted

    def added_columns(self, parts: Sequence[ReadyPart]) -> dict[str, list[str]]:
        """What each part after the first adds to the accounts: columns with values that no part before it has."""
        base, *others = [part for part in parts if ACCOUNTS in part.tables]
        filled, added = set(self._filled_columns(base)), {}
        for part in others:
            added[part.name] = [column for column in self._filled_columns(part) if column not in filled]
            filled |= set(added[part.name])
            columns = ", ".join(added[part.name])
            text = f"gives {columns} of the accounts, which are those of {base.name}"
            self.decisions.note(part.name, text if columns else f"its accounts are not used: those of {base.name} are")
        return added

    def combine(self, table: CombinedTable) -> RawTable:
        """The rows of a table of the mapping, as `drafted_TABLE`."""
        order = next((order for owner in table.owners if (order := self.orders[owner])), None)
        rows = self._typed(table.source, CONTRACT[table.name], table.text, order)
        return RawTable(CONTRACT[table.name], *self._create(f"drafted_{table.name}", rows))

    def _collect_keys(self, base: ReadyPart, merged: MergedIds | None) -> None:
        old_ids = f" union all select old_id from ({merged.ids})" if merged else ""
        accounts = f"select account_id as id from {part_table(base.name, ACCOUNTS)}"
        self.query(f"create temp table {ACCOUNT_KEYS} as select distinct id from ({accounts}{old_ids}) where id <> ''")

    def _filled_columns(self, part: ReadyPart) -> list[str]:
        table = part_table(part.name, ACCOUNTS)
        columns = [row[0] for row in self.query(f"describe {table}") if row[0] in ADDED_COLUMNS]
        return [column for column in columns if self.query(f"select count({column}) from {table}")[0][0]]

    def _compute(self, part: str, table: str, text: TableText) -> None:
        self._create(part_table(part, table), self._typed(part, CONTRACT[table], text, self.orders[part]))

    def _create(self, name: str, rows: ir.Table) -> tuple[ir.Table, frozenset[str]]:
        assert self.backend.create_table is not None  # DuckDB, which drafts are made on, has it
        try:
            computed = self.backend.create_table(name, rows)
        except self.backend.error_types as error:
            raise _unreadable(name, error) from None
        return computed, frozenset(computed.columns)

    def _typed(self, owner: str, contract: TableContract, text: TableText, order: str | None) -> ir.Table:
        """The rows of a select in the contract's types."""
        try:
            rows = self.backend.select(text.select)
        except self.backend.error_types as error:
            raise _unreadable(f"{owner}: {contract.name}", error) from None
        check_columns(rows.columns, contract)
        instants = [
            name for name in rows.columns if contract.columns[name].type == "instant" and rows[name].type().is_string()
        ]
        form = TextFormat(dates=order)
        rows = rows.mutate(**{name: from_text(rows[name], "instant", form) for name in instants})
        return cast_table(rows, contract).select([name for name in contract.columns if name in rows.columns])


def _merged_ids(base: ReadyPart) -> MergedIds | None:
    """The ids of accounts that were merged away, if the accounts have the ids that the vendor merges."""
    merged = base.content.merged
    return merged if merged and merged.key == base.match.key else None


def _with_kept_ids(part: ReadyPart, merged: MergedIds) -> ReadyPart:
    for table, text in part.tables.items():
        part = part.with_table(table, with_kept_ids(text, merged))
    return part


def _unreadable(what: str, error: Exception) -> DataError:
    return DataError(
        f"{what} cannot be read from this export: {describe(error)}.",
        "Compare its columns with those in configs/datasets/ready.",
    )
