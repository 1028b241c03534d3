"""Past rows: the signals of some accounts on one published day, straight from the history's files."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from configs.errors import NotReady

KEY = "account_id"


@dataclass(frozen=True)
class PastRows:
    """The accounts found, in order, and a column per signal there was."""

    account_ids: list[str]
    columns: Mapping[str, list[Any]]


def read_past_rows(edition: Path, day: datetime, account_ids: Sequence[str]) -> PastRows:
    """What the history of an edition holds of these accounts on a day; who was not at risk then is left out.

    Raises NotReady where the day was never published.
    """
    import pyarrow.parquet as pq

    folder = edition / "days" / f"{day:%Y-%m-%d}"
    if not folder.exists():
        raise NotReady(f"{day:%Y-%m-%d} was never published.", f"Run `oarlock publish --as-of {day:%Y-%m-%d}`.")
    # Resolved once: a day that is written again meanwhile is another folder.
    files = sorted(folder.resolve().glob("*.parquet"))
    tables = [pq.read_table(file, filters=[(KEY, "in", list(account_ids))]).sort_by(KEY) for file in files]
    columns = {name: table[name].to_pylist() for table in tables for name in table.column_names}
    return PastRows(columns.pop(KEY), {name: column for name, column in columns.items() if name != "event_timestamp"})
