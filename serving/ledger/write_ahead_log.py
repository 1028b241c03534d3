"""The journal: what a process has answered and the database does not hold yet, in files beside the ledger.

    journal/<name>.jsonl        one entry after the other, each a line that says how many lines belong to it
    journal/refused.entries     entries that the database never took
    journal/<name>.damaged      a file that cannot be read to its end

An entry is handed to the kernel before the reply leaves, so a process that is killed loses nothing it acknowledged. A
file is locked as long as its process lives; once it is dead whoever comes first writes the rest to the database.
"""

import fcntl
import os
import threading
import uuid
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import orjson

from serving.schemas.serialization import to_json

SEGMENT_BYTES = 16_000_000
REJECTED_RECORDS, CORRUPT_SUFFIX = "refused.entries", ".damaged"
READ_BYTES = 4_000_000


class CorruptSegment(Exception):
    """An entry that nobody wrote so: the power went while the disk held pages of it and not others."""


@dataclass(frozen=True)
class WalRecord:
    """One reply's lines: what they have in common, a line each, and where the entry ends in its file."""

    header: dict[str, Any]
    lines: tuple[bytes, ...]
    end: int


@dataclass(frozen=True)
class WalSegment:
    """One locked file of the journal."""

    path: Path
    descriptor: int

    @property
    def name(self) -> str:
        return self.path.stem

    def size(self) -> int:
        """How many bytes it holds."""
        return os.fstat(self.descriptor).st_size

    def read(self, start: int) -> Iterator[WalRecord]:
        """The complete entries from `start` on, as many as fit in one read; a torn one was never acknowledged.

        Raises Damaged where the first of them cannot be read.
        """
        length = READ_BYTES
        while True:
            entries = list(_entries(os.pread(self.descriptor, length, start), start))
            if entries or start + length >= self.size():
                break
            length *= 2  # one entry longer than a read
        yield from entries

    def quarantine(self) -> Path:
        """Keep the file under a name by which nobody looks for it; gives its new path."""
        kept = self.path.rename(self.path.with_suffix(CORRUPT_SUFFIX))
        os.close(self.descriptor)
        return kept

    def remove(self) -> None:
        """Take the file away and its lock with it."""
        self.path.unlink(missing_ok=True)
        os.close(self.descriptor)


@dataclass
class WriteAheadLog:
    """The journal of one process; `durability` is "fsync" where an entry waits for the disk itself."""

    folder: Path
    durability: str = "process"
    segments: list[WalSegment] = field(default_factory=list)
    _writing: threading.Lock = field(default_factory=threading.Lock)

    def append(self, head: dict[str, Any], lines: Sequence[bytes]) -> int:
        """Add one entry, whole or not at all, and say how many bytes it took. Raises OSError where the disk is full."""
        entry = encode_record(head, lines)
        with self._writing:
            if not self.segments or self.segments[-1].size() >= SEGMENT_BYTES:
                self.segments.append(_create(self.folder))
            file = self.segments[-1]
            before = file.size()
            try:
                _write_all(file.descriptor, entry)
            except OSError:
                os.ftruncate(file.descriptor, before)
                raise
            if self.durability == "fsync":
                os.fdatasync(file.descriptor)
        return len(entry)

    def delete_segment(self, file: WalSegment) -> bool:
        """Remove a file that the database holds to its end; not the one that is written to."""
        with self._writing:
            if not self.segments or file is self.segments[-1]:
                return False
            self.segments.remove(file)
        file.remove()
        return True

    def close(self, *, empty: bool) -> None:
        """Let go of the files: remove them where the database holds all, or leave them to be recovered."""
        with self._writing:
            for file in self.segments:
                file.remove() if empty else os.close(file.descriptor)
            self.segments.clear()


def encode_record(head: dict[str, Any], lines: Sequence[bytes]) -> bytes:
    """One entry as bytes; no line may hold a line break, which JSON never does."""
    return b"\n".join([to_json({"lines": len(lines), **head}), *lines, b""])


def quarantined_files(folder: Path) -> list[Path]:
    """The files that hold what could not be written to the database, for people to look at."""
    return sorted([*folder.glob(REJECTED_RECORDS), *folder.glob(f"*{CORRUPT_SUFFIX}")])


def orphaned_segments(folder: Path) -> Iterator[WalSegment]:
    """The files whose process is dead, each locked for the caller, oldest first."""
    for path in sorted(folder.glob("*.jsonl"), key=_age):
        try:
            descriptor = os.open(path, os.O_RDWR)
        except FileNotFoundError:
            continue
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(descriptor)
            continue
        if path.exists():  # its process may have ended well between the look and the lock
            yield WalSegment(path, descriptor)
        else:
            os.close(descriptor)


def _age(path: Path) -> float:
    try:
        return path.stat().st_mtime
    except FileNotFoundError:
        return 0.0


def _create(folder: Path) -> WalSegment:
    """A new file, locked before it can be found."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{uuid.uuid4().hex}.jsonl"
    hidden = path.with_suffix(".new")
    descriptor = os.open(hidden, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_APPEND, 0o600)
    fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    hidden.rename(path)
    return WalSegment(path, descriptor)


def _write_all(descriptor: int, entry: bytes) -> None:
    rest = memoryview(entry)
    while rest:
        rest = rest[os.write(descriptor, rest) :]


def _entries(content: bytes, start: int) -> Iterator[WalRecord]:
    whole, _, _ = content.rpartition(b"\n")
    lines = whole.split(b"\n") if whole else []
    at, end = 0, start
    while at < len(lines):
        try:
            head = orjson.loads(lines[at])
            stop = at + 1 + head.pop("lines")
        except (orjson.JSONDecodeError, AttributeError, KeyError, TypeError):
            if at == 0:
                raise CorruptSegment from None
            return
        if stop > len(lines):
            return
        end += sum(len(line) + 1 for line in lines[at:stop])
        yield WalRecord(head, tuple(lines[at + 1 : stop]), end)
        at = stop
