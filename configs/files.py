"""Files that are read and written whole: JSON, atomic replacement and locks between processes."""

import fcntl
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from configs.errors import Busy


def read_json(path: Path) -> Any:
    """What the JSON file holds."""
    return json.loads(path.read_text("utf-8"))


def write_json(path: Path, content: object) -> None:
    """Write the whole file or nothing."""
    with atomic_write(path) as temporary:
        temporary.write_text(json.dumps(content, indent=1, sort_keys=True), "utf-8")


@contextmanager
def exclusive_lock(path: Path, work: str) -> Iterator[None]:
    """Hold the lock at `path` while the block runs; raises Busy where another process holds it.

    The lock is the operating system's and goes with its process, so one that was killed leaves none behind.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w") as lock_file:
        try:
            fcntl.flock(lock_file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise Busy(f"Another process is {work} {path.parent}.", "Run it again when that one has ended.") from None
        yield


@contextmanager
def atomic_write(path: Path) -> Iterator[Path]:
    """A temporary path that takes the place of `path` when the block ends well, and vanishes when it does not."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        yield temporary
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)
