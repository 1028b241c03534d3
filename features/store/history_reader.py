"""Reads the signals of some accounts on one published day from the history's files, without a data frame."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from configs.errors import NotReady
from features.tables.contract import ACCOUNT_ID

if TYPE_CHECKING:
    import pandas as pd

Column = Sequence[float | str | None]


@dataclass(frozen=True)
class HistoryRows:
    """The accounts that have a snapshot, in order, and a column per signal."""

    account_ids: list[str]
    columns: Mapping[str, Column]


def read_history_rows(history_folder: Path, day: datetime, account_ids: Sequence[str]) -> HistoryRows:
    """The snapshots of these accounts on a day; accounts that were not at risk then are left out.

    Raises NotReady if the day was never published.
    """
    import pyarrow.parquet as pq

    condition = [(ACCOUNT_ID, "in", list(account_ids))]
    files = _day_files(history_folder, day)
    tables = [pq.read_table(file, filters=condition).sort_by(ACCOUNT_ID) for file in files]
    columns = {name: table[name].to_pylist() for table in tables for name in table.column_names}
    del columns["event_timestamp"]
    return HistoryRows(columns.pop(ACCOUNT_ID), columns)


def read_history_frame(history_folder: Path, day: datetime) -> "pd.DataFrame":
    """Every snapshot of a complete day, a row per account (the index) and a column per signal.

    Numbers are float64, categories objects. Raises NotReady if the day was never published.
    """
    import pandas as pd
    import pyarrow.parquet as pq

    tables = [
        pq.read_table(file).sort_by(ACCOUNT_ID).drop(["event_timestamp"]) for file in _day_files(history_folder, day)
    ]
    return pd.concat([table.to_pandas().set_index(ACCOUNT_ID) for table in tables], axis=1)


def _day_files(history_folder: Path, day: datetime) -> list[Path]:
    folder = history_folder / "days" / f"{day:%Y-%m-%d}"
    if not folder.exists():
        raise NotReady(f"{day:%Y-%m-%d} was never published.", f"Run `oarlock publish --as-of {day:%Y-%m-%d}`.")
    # Resolved once: if the day is replaced meanwhile, its files are in another folder.
    return sorted(folder.resolve().glob("*.parquet"))
