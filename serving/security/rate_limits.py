"""Rate limits that hold for all workers of a service together: their counts are in one small file that all map.

A count takes a lock and some bytes of memory. The limit slides: requests of the minute before count for the share of it
that lies within the last sixty seconds.
"""

import fcntl
import math
import mmap
import os
import struct
import threading
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

from configs.errors import ConfigError

WINDOW_SECONDS = 60
SLOTS = 4_096  # keys that are counted at a time; the key that was idle longest gives its slot to a new one
RECORD = struct.Struct("<24sqII")  # a key, its minute, its requests in it, and those in the minute before


class RateDecision(NamedTuple):
    """Whether a request is within the limit of its key, and what is left of it."""

    is_allowed: bool
    limit: int
    remaining: int
    reset_seconds: int
    retry_after_seconds: int

    @property
    def headers(self) -> dict[bytes, bytes]:
        """The fields of draft-ietf-httpapi-ratelimit-headers."""
        return {
            b"ratelimit-policy": b'"key";q=%d;w=%d' % (self.limit, WINDOW_SECONDS),
            b"ratelimit": b'"key";r=%d;t=%d' % (self.remaining, self.reset_seconds),
        }


class KeyCount(NamedTuple):
    """How many requests of a key were counted in a minute (since 1970)."""

    key_id: str
    minute: int
    requests: int


class RateLimits:
    """The counts of all keys, in the file at `path`, which other processes have open too.

    Raises ConfigError if the disk has no room for it.
    """

    def __init__(self, path: Path) -> None:
        self._file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            # A page that the disk has no room for would kill the process once it is written to.
            os.posix_fallocate(self._file, 0, SLOTS * RECORD.size)
        except OSError as error:
            raise ConfigError(f"Cannot write {path}: {error.strerror}.", "Free space on its disk.") from None
        self._counts = mmap.mmap(self._file, SLOTS * RECORD.size)
        self._offsets: dict[bytes, int] = {}
        self._lock = threading.Lock()  # a lock of a file does not hold between threads
        self._others: dict[tuple[str, int], int] = {}

    def hit(self, key_id: str, limit: int, now: float) -> RateDecision:
        """Count a request of a key at `now` (seconds since 1970) unless it is beyond `limit` requests a minute."""
        minute, elapsed = divmod(now, WINDOW_SECONDS)
        elsewhere = self._others.get((key_id, int(minute)), 0)
        elsewhere_before = self._others.get((key_id, int(minute) - 1), 0)
        with self._lock:
            fcntl.flock(self._file, fcntl.LOCK_EX)  # released if the process dies
            try:
                offset, key, (count, before) = self._read(key_id.encode()[:24], int(minute))
                carried = (before + elsewhere_before) * (1 - elapsed / WINDOW_SECONDS)
                is_allowed = carried + count + elsewhere + 1 <= limit
                count += is_allowed
                RECORD.pack_into(self._counts, offset, key, int(minute), count, before)
            finally:
                fcntl.flock(self._file, fcntl.LOCK_UN)
        count, before = count + elsewhere, before + elsewhere_before
        return RateDecision(
            is_allowed,
            limit,
            max(0, math.floor(limit - carried - count)),
            math.ceil(WINDOW_SECONDS - elapsed),
            0 if is_allowed else max(1, math.ceil(_seconds_to_wait(limit, count, before, elapsed))),
        )

    def counts_since(self, minute: int) -> list[KeyCount]:
        """What was counted from a minute on, by all processes that have the file open."""
        return [
            KeyCount(key.rstrip(b"\0").decode("utf-8", "replace"), at - age, requests)
            for key, at, now, before in list(RECORD.iter_unpack(self._counts))
            for age, requests in ((0, now), (1, before))
            if requests and at - age >= minute
        ]

    def add_others(self, counts: Iterable[KeyCount]) -> None:
        """Count these, too: what other machines counted, instead of what they had before."""
        self._others = {(count.key_id, count.minute): count.requests for count in counts}

    def _read(self, key: bytes, minute: int) -> tuple[int, bytes, tuple[int, int]]:
        """Where a key is counted, and its requests in this minute and in the one before."""
        key = key.ljust(24, b"\0")
        offset = self._offsets.get(key, 0)
        stored, stored_minute, count, before = RECORD.unpack_from(self._counts, offset)
        if stored != key:
            offset = self._offsets[key] = self._find(key)
            stored, stored_minute, count, before = RECORD.unpack_from(self._counts, offset)
            if stored != key:
                return offset, key, (0, 0)
        # A clock that was set back takes its counts along.
        ages = {0: (count, before), 1: (0, count)}
        return offset, key, ages.get(max(minute - stored_minute, 0), (0, 0))

    def _find(self, key: bytes) -> int:
        """The slot of a key, or else the one that was idle longest."""
        records = enumerate(RECORD.iter_unpack(self._counts))
        slot = min(records, key=lambda item: (item[1][0] != key, item[1][1]))[0]
        return slot * RECORD.size


def _seconds_to_wait(limit: int, count: int, before: int, elapsed: float) -> float:
    """How long until a request is allowed, if no other comes."""
    if count < limit and before:
        return max(WINDOW_SECONDS * (1 - (limit - count - 1) / before) - elapsed, 0.0)
    return WINDOW_SECONDS - elapsed + max(WINDOW_SECONDS * (1 - (limit - 1) / count), 0.0)
