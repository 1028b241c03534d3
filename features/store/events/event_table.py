"""The event table: the events of every account as they were known on the published day, an account at a time.

A page of that day is read from it in two milliseconds; from the raw tables, which are in no order, it would take as
long as reading a column of each. It is a Parquet file in the order of accounts. Each day has a file of its own, so that
pages read that of the day before until another one is online.
"""

import json
from bisect import bisect_left
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from configs.errors import NotReady
from configs.files import atomic_write
from configs.stored_files import damaged_if
from features.store.events.account_event import AccountEvent
from features.tables.contract import ACCOUNT_ID

ROWS_PER_GROUP = 20_000  # what is read for one account
MAX_EVENTS = 1_000
SCHEMA = pa.schema(
    [
        (ACCOUNT_ID, pa.string()),
        ("at", pa.timestamp("us")),
        ("family", pa.string()),
        ("text", pa.string()),
        ("is_marked", pa.bool_()),
    ]
)
NOTE = b"events"
REBUILD = "Run `oarlock publish`: it writes the file anew."
READ_ERRORS = (pa.ArrowException, OSError, KeyError, ValueError, TypeError)


@dataclass(frozen=True)
class EventSource:
    """The day whose events a table has, and a hash of the raw tables that they were read from."""

    as_of: datetime
    content: str


def write_event_table(file: Path, source: EventSource, batches: Iterable[pa.RecordBatch]) -> None:
    """Write the events of all accounts atomically; they come in the order of accounts, newest first."""
    last_ids: list[str] = []
    with atomic_write(file) as temporary, pq.ParquetWriter(temporary, SCHEMA, compression="zstd") as writer:
        for batch in batches:
            writer.write_batch(batch.cast(SCHEMA))
            last_ids.append(batch[ACCOUNT_ID][-1].as_py())
        note = {"as_of": source.as_of.isoformat(), "content": source.content, "last_ids": last_ids}
        writer.add_key_value_metadata({NOTE: json.dumps(note)})


def remove_event_tables(folder: Path, keep: Path | None = None) -> None:
    """Remove the event tables of all days but one; who has one open goes on reading it."""
    for file in folder.glob("*.parquet"):
        if file != keep:
            file.unlink(missing_ok=True)


class EventTable:
    """An open event table; it goes on reading the file that it opened. Not for several threads at once."""

    def __init__(self, file: Path) -> None:
        """Raises NotReady if none was published, DamagedState if it cannot be read; so does `read`."""
        if not file.exists():
            raise NotReady("The event table has not been published.", "Run `oarlock publish`.")
        self._file = file
        with damaged_if(READ_ERRORS, file, REBUILD):
            self._parquet = pq.ParquetFile(file)
            note = json.loads(self._parquet.metadata.metadata[NOTE])
            self.source = EventSource(datetime.fromisoformat(note["as_of"]), note["content"])
            self._last_ids: list[str] = note["last_ids"]

    def read(self, account_id: str) -> list[AccountEvent]:
        """The newest 1,000 events of an account, newest first."""
        with damaged_if(READ_ERRORS, self._file, REBUILD):
            rows = self._parquet.read_row_groups(self._groups_of(account_id), use_threads=False)
            own = rows.filter(pc.equal(rows[ACCOUNT_ID], account_id)).slice(0, MAX_EVENTS)  # type: ignore[attr-defined]
            return [AccountEvent(**row) for row in own.drop_columns([ACCOUNT_ID]).to_pylist()]

    def _groups_of(self, account_id: str) -> list[int]:
        """The groups of rows that may have the account: from the first that ends with it or after it."""
        first = last = bisect_left(self._last_ids, account_id)
        while last < len(self._last_ids) and self._last_ids[last] == account_id:
            last += 1
        return list(range(first, min(last + 1, len(self._last_ids))))
