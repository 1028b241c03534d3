"""Writes the ledger in a worker: responses go to the write-ahead log at once, and to the database in batches behind it.

One thread per process follows the log. If the database is too far behind, requests wait for a while and are then
refused: a risk that is not recorded is not served.
"""

import contextlib
import logging
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from datetime import datetime
from functools import lru_cache
from pathlib import Path
from typing import cast

from sqlalchemy.exc import DataError, DBAPIError, IntegrityError
from tenacity import RetryCallState, Retrying, stop_when_event_set, wait_exponential
from tenacity.nap import sleep_using_event

from configs.background import TaskHealth
from configs.clock import parse_instant
from configs.errors import LedgerBacklogFull, NotReady
from configs.sections.stores import LedgerSettings
from serving.ledger.ledger import Checkpoint, DuplicateCheckpoint, Ledger, LedgerRow, ScoreSource
from serving.ledger.write_ahead_log import (
    REJECTED_RECORDS,
    CorruptSegment,
    RecordHeader,
    WalRecord,
    WalSegment,
    WriteAheadLog,
    encode_record,
    orphaned_segments,
)
from serving.schemas.responses import Score
from serving.schemas.serialization import to_json

LOG = logging.getLogger("oarlock.ledger")
BATCH_SECONDS = 0.15  # responses of this long share a commit
ORPHAN_CHECK_SECONDS = 5.0
BACKOFF = wait_exponential(multiplier=0.1, max=2.0)
# The database is down or locked: the log waits for it, and answers go on.
EXPECTED_FAILURES = (DBAPIError, NotReady, OSError)
# A record that the database does not accept, or whose rows are not as this release writes them.
UNSTORABLE = (DataError, IntegrityError, KeyError, TypeError, ValueError)
ROW_COLUMNS = ("account_id", "risk", "base", "band", "status")


class LedgerWriter:
    """Records the responses of one process, off the request path."""

    def __init__(self, ledger: Ledger, folder: Path, settings: LedgerSettings, clock: Callable[[], datetime]) -> None:
        self.ledger, self.settings, self.clock = ledger, settings, clock
        self.write_ahead_log = WriteAheadLog(folder, settings.durability)
        self.backlog_bytes = self.refused_responses = self.stored_rows = self.corrupt_records = 0
        self.health = TaskHealth("ledger")
        self._caught_up_at, self._recovered_at = time.monotonic(), float("-inf")
        self._changed = threading.Condition()
        self._stopping, self._gave_up = False, threading.Event()
        self._thread = threading.Thread(target=self._follow_log, name="ledger", daemon=True)

    def start(self) -> None:
        """Start to write, beginning with what dead processes left behind.

        Raises ConfigError for a database that cannot be used. One that is only down is waited for.
        """
        with contextlib.suppress(NotReady):
            _ = self.ledger.engine
        self._thread.start()

    def append(self, scores: Sequence[Score], source: ScoreSource) -> None:
        """Record the scores of one response. Once this returns they outlive the process.

        Raises LedgerBacklogFull if there is no room within `ledger.backpressure_timeout_seconds`, or on the disk.
        """
        if not scores:
            return
        self._wait_for_room()
        try:
            size = self.write_ahead_log.append(_to_header(scores, source), [to_json(score) for score in scores])
        except OSError as error:
            self.refused_responses += 1
            hint = "Free space on the disk that holds the state folder."
            raise LedgerBacklogFull(f"The risk cannot be recorded: {error.strerror}.", hint) from None
        with self._changed:
            if self.backlog_bytes <= 0:
                self._caught_up_at = time.monotonic()
            self.backlog_bytes += size
            self._changed.notify_all()

    @property
    def lag_seconds(self) -> float:
        """How long the oldest response that the database does not hold has waited, at most."""
        return time.monotonic() - self._caught_up_at if self.backlog_bytes else 0.0

    @property
    def is_immediate(self) -> bool:
        """Whether a response can be recorded without waiting for room or for the disk."""
        return self.settings.durability == "process" and not self._is_half_full

    @property
    def _is_half_full(self) -> bool:
        return self.backlog_bytes >= self.settings.max_backlog_bytes // 2

    def close(self, timeout: float) -> None:
        """Write what is waiting. What cannot be written in time stays in the log and is recovered later."""
        with self._changed:
            self._stopping = True
            self._changed.notify_all()
        self._thread.join(timeout)
        self._gave_up.set()
        self.write_ahead_log.close(empty=not self._thread.is_alive() and self.backlog_bytes == 0)

    def _wait_for_room(self) -> None:
        limit, timeout = self.settings.max_backlog_bytes, self.settings.backpressure_timeout_seconds
        with self._changed:
            if not self._changed.wait_for(lambda: self.backlog_bytes < limit, timeout):
                self.refused_responses += 1
                message = f"The ledger's database is {self.backlog_bytes:,} bytes behind."
                raise LedgerBacklogFull(message, "Try again later; the service's log says why the database is behind.")

    def _follow_log(self) -> None:
        retrying = Retrying(
            wait=BACKOFF,
            stop=stop_when_event_set(self._gave_up),
            sleep=sleep_using_event(self._gave_up),
            before_sleep=self._log_failure,
            retry_error_callback=lambda _: None,
        )
        while not (self._gave_up.is_set() or (self._stopping and self.backlog_bytes == 0)):
            retrying(self._catch_up)
            self.health.record_success()
            self._wait_for_backlog()

    def _catch_up(self) -> None:
        if time.monotonic() - self._recovered_at > ORPHAN_CHECK_SECONDS:
            recover_orphaned_segments(self.ledger, self.write_ahead_log.folder, self.clock)
            self._recovered_at = time.monotonic()
        for segment in list(self.write_ahead_log.segments):
            for start, end, rows in _store_segment(self.ledger, segment, self.clock):
                self.stored_rows += rows
                self.corrupt_records += rows == 0
                with self._changed:
                    self.backlog_bytes -= end - start
                    self._caught_up_at = time.monotonic()
                    self._changed.notify_all()
            self.write_ahead_log.delete_segment(segment)

    def _log_failure(self, state: RetryCallState) -> None:
        error = state.outcome and state.outcome.exception()
        if not isinstance(error, EXPECTED_FAILURES):
            self.health.record_failure(error)
        LOG.warning("cannot write to the ledger's database, %d bytes wait: %s", self.backlog_bytes, error)

    def _wait_for_backlog(self) -> None:
        with self._changed:
            if self.backlog_bytes == 0 and not self._stopping:
                self._changed.wait(ORPHAN_CHECK_SECONDS)
                if self.backlog_bytes:
                    # A log that is half full is written at once.
                    self._changed.wait_for(lambda: self._stopping or self._is_half_full, BATCH_SECONDS)


def recover_orphaned_segments(ledger: Ledger, folder: Path, clock: Callable[[], datetime]) -> int:
    """Store what dead processes acknowledged and the database does not hold; returns how many risks those were."""
    recovered = 0
    for segment in orphaned_segments(folder):
        rows = sum(rows for _, _, rows in _store_segment(ledger, segment, clock))
        segment.remove()
        if rows:
            LOG.warning("recovered %d risks of a process that died", rows)
        recovered += rows
    return recovered


def _store_segment(
    ledger: Ledger, segment: WalSegment, clock: Callable[[], datetime]
) -> Iterator[tuple[int, int, int]]:
    """Store a segment to its end, batch by batch; yields each batch's start, end and number of rows.

    What cannot be read is set aside, as a batch without rows.
    """
    start = ledger.stored_bytes(segment.name)
    while True:
        try:
            records = list(segment.read(start))
            end, stored = _store_records(ledger, segment, records, Checkpoint(segment.name, start, start, clock()))
        except CorruptSegment:
            end, stored = _skip_corrupt_part(ledger, segment, start, clock), 0
        except DuplicateCheckpoint:
            end, stored = ledger.stored_bytes(segment.name), 0
        if end == start:
            return
        yield start, end, stored
        start = end


def _skip_corrupt_part(ledger: Ledger, segment: WalSegment, start: int, clock: Callable[[], datetime]) -> int:
    """Set aside what cannot be read from `start` on; returns where it ends."""
    end = segment.set_aside(start)
    LOG.error("a part of the write-ahead log is corrupt and is set aside beside %s", segment.path)
    try:
        ledger.add([], Checkpoint(segment.name, start, end, clock()))
    except DuplicateCheckpoint:
        return ledger.stored_bytes(segment.name)
    return end


def _store_records(
    ledger: Ledger, segment: WalSegment, records: Sequence[WalRecord], checkpoint: Checkpoint
) -> tuple[int, int]:
    """Store records; returns where the last one ends and the number of rows."""
    if not records:
        return checkpoint.start, 0
    end = records[-1].end
    try:
        rows = [row for record in records for row in _to_rows(record)]
        ledger.add(rows, replace(checkpoint, end=end))
        return end, len(rows)
    except UNSTORABLE:
        return end, _store_one_by_one(ledger, segment, records, checkpoint)


def _store_one_by_one(ledger: Ledger, segment: WalSegment, records: Sequence[WalRecord], checkpoint: Checkpoint) -> int:
    """Store records; one that the database never accepts is written to a file, so that it does not block the others.

    Returns the number of rows.
    """
    start, stored = checkpoint.start, 0
    for record in records:
        part = replace(checkpoint, start=start, end=record.end)
        try:
            rows = list(_to_rows(record))
            ledger.add(rows, part)
            stored += len(rows)
        except UNSTORABLE as error:
            with (segment.path.parent / REJECTED_RECORDS).open("ab") as file:
                file.write(encode_record(record.header, record.lines))
            LOG.error("the database rejects a record, which is kept in %s: %s", REJECTED_RECORDS, error)
            ledger.add([], part)
        start = record.end
    return stored


def _to_header(scores: Sequence[Score], source: ScoreSource) -> RecordHeader:
    rows = [
        [score["signals_as_of"], *(score[name] for name in ROW_COLUMNS), score["revenue"]["mrr"]] for score in scores
    ]
    return {"source": {**source, "scored_at": source["scored_at"].isoformat()}, "rows": rows}


def _to_rows(record: WalRecord) -> Iterator[LedgerRow]:
    # What a segment of an older release lacks: its risks were served, and name no currency.
    source = {
        "purpose": "served",
        "currency": None,
        **record.header["source"],
        "scored_at": _parse_instant(record.header["source"]["scored_at"]),
    }
    for (as_of, *values, mrr), line in zip(record.header["rows"], record.lines, strict=True):
        columns = dict(zip(ROW_COLUMNS, values, strict=True))
        row = {**source, **columns, "as_of": _parse_instant(as_of), "mrr": mrr, "score": line.decode()}
        yield cast(LedgerRow, row)


@lru_cache(maxsize=64)  # most rows are of the same day
def _parse_instant(text: str) -> datetime:
    return parse_instant(text)
