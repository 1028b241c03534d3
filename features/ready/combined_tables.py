"""Combines the selects that several ready mappings have for one table."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from features.ready.part import MergedIds, ReadyPart, TableText
from features.ready.table_owners import ACCOUNTS

# A vendor's own id, which may be that of another vendor's row, too.
OWN_IDS = {"tickets": "ticket_id", "contacts": "contact_id"}


@dataclass(frozen=True)
class CombinedTable:
    """A table of the mapping, with the names of the mappings that it is from, and its select with comments."""

    name: str
    owners: tuple[str, ...]
    text: TableText

    @property
    def source(self) -> str:
        """The mappings that it is from, as one text."""
        return ", ".join(self.owners)


def combine_tables(parts: Sequence[ReadyPart], added_columns: Mapping[str, Sequence[str]]) -> list[CombinedTable]:
    """The tables of all parts. The first part gives the accounts, to which others add the columns named for them."""
    names = dict.fromkeys(table for part in parts for table in part.tables)
    return [_combine(name, [part for part in parts if name in part.tables], added_columns) for name in names]


def with_kept_ids(text: TableText, merged: MergedIds) -> TableText:
    """The select with the account that is left for ids of accounts that were merged away."""
    select = "\n".join(
        [
            "select rows.* replace (coalesce(merged.account_id, rows.account_id::varchar) as account_id) from (",
            text.select,
            ") as rows left join (",
            f"{merged.ids}",
            ") as merged on merged.old_id = rows.account_id::varchar",
        ]
    )
    return TableText(
        f"{text.comments}# Ids of accounts that were merged away are those of the account that is left.\n", select
    )


def _combine(name: str, parts: Sequence[ReadyPart], added_columns: Mapping[str, Sequence[str]]) -> CombinedTable:
    texts = {part.name: part.tables[name] for part in parts}
    if len(parts) == 1:
        return CombinedTable(name, tuple(texts), parts[0].tables[name])
    if name == ACCOUNTS:
        return _complete_accounts(texts, added_columns)
    comments = "".join(f"# From {owner}:\n{text.comments}" for owner, text in texts.items())
    selects = [f"select {_columns(name, owner)} from (\n{text.select}\n)" for owner, text in texts.items()]
    return CombinedTable(name, tuple(texts), TableText(comments, "\nunion all by name ".join(selects)))


def _columns(table: str, owner: str) -> str:
    """The columns of a mapping's rows, with ids that no other mapping has."""
    own_id = OWN_IDS.get(table)
    return f"* replace ('{owner}:' || {own_id} as {own_id})" if own_id else "*"


def _complete_accounts(texts: Mapping[str, TableText], added_columns: Mapping[str, Sequence[str]]) -> CombinedTable:
    """The accounts of the first mapping, with columns that it lacks from the others."""
    base, *others = [
        name for name, text in texts.items() if text is texts[next(iter(texts))] or added_columns.get(name)
    ]
    columns = [f"{other}.{column}" for other in others for column in added_columns[other]]
    joins = [
        f"left join (\nselect * from (\n{texts[other].select}\n)\n"
        f"qualify row_number() over (partition by account_id order by created_at::varchar) = 1\n"
        f") as {other} on {other}.account_id::varchar = base.account_id::varchar"
        for other in others
    ]
    added = [f"# {', '.join(added_columns[other])}: those of {other}.\n" for other in others]
    text = texts[base]
    if not others:
        return CombinedTable(ACCOUNTS, (base,), text)
    select = "\n".join([f"select base.*, {', '.join(columns)}", f"from (\n{text.select}\n) as base", *joins])
    return CombinedTable(ACCOUNTS, (base, *others), TableText(text.comments + "".join(added), select))
