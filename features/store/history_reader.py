"""Reads the signals of some accounts on one published day from the history's files, without a data frame."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from configs.errors import NotReady
from configs.stored_files import damaged_if
from features.store.publication import recompute_hint
from features.tables.contract import ACCOUNT_ID

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa

Column = Sequence[float | str | None]


@dataclass(frozen=True)
class HistoryRows:
    """The accounts that have a snapshot, in order, and a column per signal."""

    account_ids: list[str]
    columns: Mapping[str, Column]


def read_history_rows(history_folder: Path, day: datetime, account_ids: Sequence[str]) -> HistoryRows:
    """The snapshots of these accounts on a day; accounts that were not at risk then are left out.

    Raises NotReady if the day was never published, DamagedState if its files cannot be read.
    """
    condition = [(ACCOUNT_ID, "in", list(account_ids))]
    tables = [_read_rows(file, day, condition) for file in _day_files(history_folder, day)]
    columns = {name: table[name].to_pylist() for table in tables for name in table.column_names}
    del columns["event_timestamp"]
    return HistoryRows(columns.pop(ACCOUNT_ID), columns)


def read_history_columns(history_folder: Path, day: datetime, names: Sequence[str]) -> "pd.DataFrame":
    """Some signals of every snapshot of a complete day, a row per account (the index); a signal it lacks is missing.

    Raises NotReady if the day was never published, DamagedState if its files cannot be read.
    """
    import pandas as pd
    import pyarrow as pa
    import pyarrow.parquet as pq

    frames: list[pd.DataFrame] = []
    for file in _day_files(history_folder, day):
        with damaged_if((pa.ArrowException, OSError, KeyError), file, recompute_hint(day)):
            present = [name for name in names if name in pq.read_schema(file).names]
            if present or not frames:  # the first one has the accounts
                frames.append(pq.read_table(file, columns=[ACCOUNT_ID, *present]).to_pandas().set_index(ACCOUNT_ID))
    return pd.concat(frames, axis=1).reindex(columns=list(names)).astype("float64")


def read_history_frame(history_folder: Path, day: datetime) -> "pd.DataFrame":
    """Every snapshot of a complete day, a row per account (the index) and a column per signal.

    Numbers are float64, categories objects. Raises NotReady if the day was never published, DamagedState if its files
    cannot be read.
    """
    import pandas as pd

    tables = [_read_rows(file, day).drop(["event_timestamp"]) for file in _day_files(history_folder, day)]
    return pd.concat([table.to_pandas().set_index(ACCOUNT_ID) for table in tables], axis=1)


def _day_files(history_folder: Path, day: datetime) -> list[Path]:
    folder = history_folder / "days" / f"{day:%Y-%m-%d}"
    if not folder.exists():
        raise NotReady(f"{day:%Y-%m-%d} was never published.", f"Run `oarlock publish --as-of {day:%Y-%m-%d}`.")
    # Resolved once: if the day is replaced meanwhile, its files are in another folder.
    return sorted(folder.resolve().glob("*.parquet"))


def _read_rows(file: Path, day: datetime, condition: list[tuple[str, str, list[str]]] | None = None) -> "pa.Table":
    import pyarrow as pa
    import pyarrow.parquet as pq

    with damaged_if((pa.ArrowException, OSError, KeyError), file, recompute_hint(day)):
        rows = pq.read_table(file, filters=condition).sort_by(ACCOUNT_ID)
        rows.schema.field("event_timestamp")  # a file that something else wrote may lack it
        return rows
