"""The writer of the ledger in a worker: replies go to the journal at once, and to the database in batches behind them.

One thread per process follows the journal. Where the database falls behind, requests wait for room in the journal up to
a bound and are then refused: a risk that is not in the ledger is not given.
"""

import contextlib
import logging
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from functools import lru_cache
from pathlib import Path
from typing import Any

from sqlalchemy.exc import DataError, DBAPIError, IntegrityError

from configs.errors import NotReady
from configs.settings import LedgerSettings
from serving.ledger.ledger import Checkpoint, DuplicateCheckpoint, Ledger
from serving.ledger.write_ahead_log import (
    REJECTED_RECORDS,
    CorruptSegment,
    WalRecord,
    WalSegment,
    WriteAheadLog,
    encode_record,
    orphaned_segments,
)
from serving.schemas.serialization import to_json

LOG = logging.getLogger("oarlock.ledger")
BATCH_SECONDS = 0.15  # replies of this long share a commit
LOOK_SECONDS = 5.0  # how often files of dead processes are looked for
RETRY_SECONDS = (0.1, 2.0)
COLUMNS = ("account_id", "risk", "base", "band", "status")


class LedgerBacklogFull(NotReady):
    """The database is so far behind that no further risk can be recorded, and so none is given."""

    code = "ledger_behind"


class LedgerWriter:
    """Records replies for one process, off the request path."""

    def __init__(self, ledger: Ledger, folder: Path, settings: LedgerSettings, clock: Callable[[], datetime]) -> None:
        self.ledger, self.settings, self.clock = ledger, settings, clock
        self.write_ahead_log = WriteAheadLog(folder, settings.durability)
        self.backlog_bytes = self.refused_responses = self.stored_rows = 0
        self._level_at = time.monotonic()
        self._changed = threading.Condition()
        self._stopping = self._gave_up = False
        self._thread = threading.Thread(target=self._follow, name="ledger", daemon=True)

    def start(self) -> None:
        """Begin to write, what dead processes left behind first.

        Raises ConfigError for a database that cannot be used; one that is only away is waited for.
        """
        with contextlib.suppress(NotReady):
            _ = self.ledger.engine
        self._thread.start()

    def append(self, scores: Sequence[Mapping[str, Any]], source: Mapping[str, Any]) -> None:
        """Record the scores of one reply; once this returns they outlive the process.

        Raises LedgerBehind where there is no room within `ledger.backpressure_timeout_seconds`, or no room on the disk.
        """
        if not scores:
            return
        self._wait_for_room()
        try:
            added = self.write_ahead_log.append(_head(scores, source), [to_json(one) for one in scores])
        except OSError as problem:
            self.refused_responses += 1
            hint = "Make room on the disk that holds the state folder."
            raise LedgerBacklogFull(f"The risk cannot be recorded: {problem.strerror}.", hint) from None
        with self._changed:
            if self.backlog_bytes <= 0:
                self._level_at = time.monotonic()
            self.backlog_bytes += added
            self._changed.notify_all()

    @property
    def lag_seconds(self) -> float:
        """How long the oldest reply that the database does not hold has waited, at most."""
        return time.monotonic() - self._level_at if self.backlog_bytes else 0.0

    @property
    def is_immediate(self) -> bool:
        """Whether a reply can be recorded without waiting, neither for room nor for the disk itself."""
        return self.settings.durability == "process" and not self._is_filling

    @property
    def _is_filling(self) -> bool:
        return self.backlog_bytes >= self.settings.max_backlog_bytes // 2

    def close(self, patience: float) -> None:
        """Write what is waiting; what cannot be written in time stays in the journal and is recovered later."""
        with self._changed:
            self._stopping = True
            self._changed.notify_all()
        self._thread.join(patience)
        self._gave_up = True
        self.write_ahead_log.close(empty=not self._thread.is_alive() and self.backlog_bytes == 0)

    def _wait_for_room(self) -> None:
        most = self.settings.max_backlog_bytes
        with self._changed:
            if not self._changed.wait_for(
                lambda: self.backlog_bytes < most, self.settings.backpressure_timeout_seconds
            ):
                self.refused_responses += 1
                message = f"The ledger's database is {self.backlog_bytes:,} bytes behind."
                raise LedgerBacklogFull(message, "Try again; the log of the service says what keeps the database.")

    def _follow(self) -> None:
        looked_at, pause = float("-inf"), RETRY_SECONDS[0]
        while not (self._stopping and self.backlog_bytes == 0):
            try:
                if time.monotonic() - looked_at > LOOK_SECONDS:
                    recover_orphaned_segments(self.ledger, self.write_ahead_log.folder, self.clock)
                    looked_at = time.monotonic()
                self._write_waiting()
                pause = RETRY_SECONDS[0]
            except (DBAPIError, NotReady, OSError) as problem:
                LOG.warning("the ledger's database does not take rows, %d bytes wait: %s", self.backlog_bytes, problem)
                time.sleep(pause)
                pause = min(pause * 2, RETRY_SECONDS[1])
                if self._gave_up:
                    return
                continue
            self._pause()

    def _pause(self) -> None:
        with self._changed:
            if self.backlog_bytes == 0 and not self._stopping:
                self._changed.wait(LOOK_SECONDS)
                if self.backlog_bytes:
                    # Where room runs out nobody is to wait for company.
                    self._changed.wait_for(lambda: self._stopping or self._is_filling, BATCH_SECONDS)

    def _write_waiting(self) -> None:
        for file in list(self.write_ahead_log.segments):
            for start, end, rows in _write(self.ledger, file, self.clock):
                self.stored_rows += rows
                with self._changed:
                    self.backlog_bytes -= end - start
                    self._level_at = time.monotonic()
                    self._changed.notify_all()
            self.write_ahead_log.delete_segment(file)


def recover_orphaned_segments(ledger: Ledger, folder: Path, clock: Callable[[], datetime]) -> int:
    """Write what dead processes acknowledged and the database does not hold; says how many risks those were."""
    found = 0
    for file in orphaned_segments(folder):
        try:
            rows = sum(rows for _, _, rows in _write(ledger, file, clock))
        except CorruptSegment:
            kept = file.quarantine()
            LOG.error("a journal is damaged where the power went; what follows there is kept in %s", kept)
            continue
        file.remove()
        if rows:
            LOG.warning("recovered %d risks that a process which died had given", rows)
        found += rows
    return found


def _write(ledger: Ledger, file: WalSegment, clock: Callable[[], datetime]) -> Iterator[tuple[int, int, int]]:
    """Bring the database up to the end of a file, batch by batch: from where, to where, how many rows."""
    start = ledger.stored_bytes(file.name)
    while entries := list(file.read(start)):
        end, rows = entries[-1].end, [row for entry in entries for row in _rows(entry)]
        try:
            ledger.add(rows, Checkpoint(file.name, start, end, clock()))
        except DuplicateCheckpoint:
            end, rows = ledger.stored_bytes(file.name), []
        except (DataError, IntegrityError):
            _add_one_by_one(ledger, file, entries, Checkpoint(file.name, start, end, clock()))
        yield start, end, len(rows)
        start = end


def _add_one_by_one(ledger: Ledger, file: WalSegment, entries: Sequence[WalRecord], mark: Checkpoint) -> None:
    """Add entries; one that the database will never take is kept in a file, so that it does not hold up the rest."""
    start = mark.start
    for entry in entries:
        moved = replace(mark, start=start, done=entry.end)
        try:
            ledger.add(list(_rows(entry)), moved)
        except (DataError, IntegrityError) as problem:
            with (file.path.parent / REJECTED_RECORDS).open("ab") as kept:
                kept.write(encode_record(entry.header, entry.lines))
            LOG.error("the database refuses an entry, which is kept in %s: %s", REJECTED_RECORDS, problem.orig)
            ledger.add([], moved)
        start = entry.end


def _head(scores: Sequence[Mapping[str, Any]], of: Mapping[str, Any]) -> dict[str, Any]:
    """What stands before the lines: what the rows have in common, and each row's columns but for its line."""
    common = {**of, "given_at": of["given_at"].isoformat()}
    own = [[one["signals_as_of"], *(one[name] for name in COLUMNS), one["revenue"]["mrr"]] for one in scores]
    return {"of": common, "rows": own}


def _rows(entry: WalRecord) -> Iterator[dict[str, Any]]:
    of = {**entry.header["of"], "given_at": datetime.fromisoformat(entry.header["of"]["given_at"])}
    for (as_of, *own, mrr), line in zip(entry.header["rows"], entry.lines, strict=True):
        columns = dict(zip(COLUMNS, own, strict=True))
        yield {**of, "as_of": _instant(as_of), **columns, "mrr": mrr, "served": line.decode()}


_instant = lru_cache(maxsize=64)(datetime.fromisoformat)  # most rows are of the same day
