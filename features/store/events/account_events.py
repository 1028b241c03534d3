"""What happened to an account: rows of the raw tables as they were known before an instant, a sentence each."""

import threading
from concurrent.futures import Future, ThreadPoolExecutor
from datetime import datetime
from typing import TYPE_CHECKING

from configs.errors import DataError, NotReady
from configs.settings import Settings
from configs.state_dir import StateDir
from features.store.events.account_event import AccountEvent, join_renewals

if TYPE_CHECKING:
    from features.store.events.event_table import EventTable
    from features.store.events.raw_events import RawEvents

OPENING_SECONDS = 2.0  # a page that waited for the first opening on a busy machine would time out


class AccountEvents:
    """Reads the events of one account at a time: those of the published day from its event table, others from the
    raw tables, which are opened when the first of them is asked for.

    Safe to use from many threads, one after another: a connection answers one query at a time.
    """

    def __init__(self, settings: Settings, state: StateDir) -> None:
        self._settings, self._state = settings, state
        self._opener = ThreadPoolExecutor(1, "account-events")
        self._opening: tuple[str, Future[RawEvents]] | None = None
        self._table: tuple[tuple[int, int], EventTable] | None = None
        self._opening_lock, self._query_lock = threading.Lock(), threading.Lock()

    def read(self, account_id: str, as_of: datetime, version: str) -> list[AccountEvent]:
        """The newest 1,000 events known before `as_of`, newest first.

        `version` is that of the publication: with another one the raw tables are opened again. Raises NotReady while
        they are being opened or not converted, DataError or ConfigError if they cannot be read, DamagedState for a
        damaged event table.
        """
        with self._query_lock:
            table = self._published_table(as_of)
            if table is not None and table.source.as_of == as_of:
                return join_renewals(table.read(account_id))
        return join_renewals(self._read_raw(account_id, as_of, version))

    def open(self, version: str, timeout_seconds: float | None = None) -> "RawEvents":
        """Open the raw tables of a publication, unless they are; raises as `read`. Without a timeout it waits."""
        with self._opening_lock:
            if self._opening is None or self._opening[0] != version or _has_failed(self._opening[1]):
                self._opening = version, self._opener.submit(_open_raw_events, self._settings, self._state)
            _, opening = self._opening
        try:
            return opening.result(timeout_seconds)
        except TimeoutError:
            raise NotReady("The raw tables are being opened.", "Load the page again in a few seconds.") from None

    def _published_table(self, as_of: datetime) -> "EventTable | None":
        """The event table of a day, None without one; a file that was replaced is opened anew."""
        from features.store.events.event_table import EventTable

        file = self._state.event_table(as_of)
        try:
            status = file.stat()
        except FileNotFoundError:  # another day, or an account was erased, which an open file would keep on the disk
            self._table = None
            return None
        identity = status.st_ino, status.st_mtime_ns
        if self._table is None or self._table[0] != identity:
            self._table = identity, EventTable(file)
        return self._table[1]

    def _read_raw(self, account_id: str, as_of: datetime, version: str) -> list[AccountEvent]:
        opened = self.open(version, OPENING_SECONDS)
        try:
            with self._query_lock:
                rows = opened.of_account({"account_id": account_id, "as_of": as_of.isoformat(" ")})
        except opened.error_types as error:
            self._opening = None
            raise _unreadable(error) from None
        return [AccountEvent(**row) for row in rows.to_pylist()]


def _has_failed(opening: "Future[RawEvents]") -> bool:
    return opening.done() and opening.exception() is not None


def _unreadable(error: Exception) -> DataError:
    message = f"The raw tables cannot be read: {' '.join(str(error).split())[:200]}."
    return DataError(message, "Publish again, or see `oarlock validate`.")


def _open_raw_events(settings: Settings, state: StateDir) -> "RawEvents":
    from features.compute.backends.duckdb import duckdb_errors
    from features.store.events.raw_events import open_raw_events
    from features.tables.dataset import read_dataset

    engine = settings.engine.model_copy(update={"threads": 1})  # enough for one account
    try:
        return open_raw_events(engine, read_dataset(settings.data, settings.signals), state.converted)
    except (OSError, *duckdb_errors()) as error:
        raise _unreadable(error) from None
