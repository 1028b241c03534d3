"""A SQLite file that is read until nobody needs it any more."""

import os
import sqlite3
from pathlib import Path


class SqliteReader:
    """A connection to a file that is closed with the last reference to this object.

    A connection of sqlite3 is in a cycle with its cache of statements. Left to the garbage collector, which a service
    calls seldom, it keeps its pages in memory and the space of a file that was replaced.
    """

    def __init__(self, file: Path, mode: str, timeout_seconds: float) -> None:
        """`mode` is that of SQLite's URI: "ro", or "rw" for a file with a write-ahead log. Raises sqlite3.Error."""
        address = f"{file.resolve().as_uri()}?mode={mode}"
        self._process = os.getpid()
        self.connection = sqlite3.connect(address, uri=True, timeout=timeout_seconds, check_same_thread=False)
        self.connection.execute("pragma query_only=on")

    def __del__(self) -> None:
        # SQLite's locks are of the process that opened the file: one that was forked must not close it.
        if hasattr(self, "connection") and self._process == os.getpid():
            self.connection.close()
