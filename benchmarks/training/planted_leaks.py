"""Leaks as companies have them: what a source overwrites, empties or deletes when an account leaves.

Each rewrites a table of a simulated company as its source would hold it at the end of the data, for the accounts in
`gone`. The rows keep their times, so the point-in-time cut cannot know that they were changed later.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

EMPTY = float("nan")
Rewrite = Callable[[pd.DataFrame, pd.Series], pd.DataFrame]


@dataclass(frozen=True)
class PlantedLeak:
    """What happens to a table, and the families of signals that an alarm has to name one of."""

    table: str
    families: tuple[str, ...]
    rewrite: Rewrite


def plant(leak: PlantedLeak, folder: Path, gone: set[str]) -> None:
    """Rewrite the table of a company whose files are in `folder`."""
    for file in sorted((folder / leak.table).glob("*.parquet")):
        table = pq.read_table(file)
        rows = table.to_pandas()
        changed = leak.rewrite(rows, rows.account_id.isin(gone))
        pq.write_table(pa.Table.from_pandas(changed, table.schema, preserve_index=False), file, store_schema=False)


def _set(column: str, value: str | float) -> Rewrite:
    def rewrite(rows: pd.DataFrame, is_gone: pd.Series) -> pd.DataFrame:
        return rows.assign(**{column: rows[column].where(~is_gone, value)})

    return rewrite


def _delete(rows: pd.DataFrame, is_gone: pd.Series) -> pd.DataFrame:
    return rows[~is_gone]


def _keep_last_term(rows: pd.DataFrame, _: pd.Series) -> pd.DataFrame:
    """One row for each plan of an account that is overwritten at every renewal; unlike other leaks, in all accounts."""
    first = rows.groupby(["account_id", "plan"], dropna=False).started_at.transform("min")
    last = rows.sort_values("started_at").groupby(["account_id", "plan"], dropna=False).tail(1)
    return last.assign(started_at=first[last.index]).sort_index()


LEAKS: Mapping[str, PlantedLeak] = {
    "a status is written": PlantedLeak("accounts", ("customer_profile",), _set("channel", "closed")),
    "a segment is written": PlantedLeak("accounts", ("customer_profile",), _set("segment", "former")),
    "a number is emptied": PlantedLeak("accounts", ("customer_profile",), _set("employees", EMPTY)),
    "a category is emptied": PlantedLeak("accounts", ("customer_profile",), _set("industry", EMPTY)),
    "contacts are deleted": PlantedLeak("contacts", ("relationship",), _delete),
    "usage is deleted": PlantedLeak("usage", ("adoption", "value"), _delete),
    "answers to surveys are deleted": PlantedLeak("surveys", ("sentiment",), _delete),
    "seats are set to 0": PlantedLeak(
        "subscriptions", ("contract", "adoption", "billing", "value"), _set("seats", 0.0)
    ),
    "payments are emptied": PlantedLeak("invoices", ("billing",), _set("paid_at", EMPTY)),
    "a term is overwritten at renewal": PlantedLeak("subscriptions", ("contract", "billing"), _keep_last_term),
}
