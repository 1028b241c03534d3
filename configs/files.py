"""Files that are read and written as a whole: JSON, atomic replacement, and locks between processes.

A process that uses a folder holds its lock, so that what a killed process left can be removed.
"""

import fcntl
import json
import os
import shutil
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any
from urllib.parse import quote

from configs.errors import Busy

JsonObject = dict[str, Any]
PERMISSION_BITS = 0o777
LOCK = "lock"


def read_json(path: Path) -> JsonObject:
    """The JSON object in a file."""
    return json.loads(path.read_text("utf-8"))


def write_json(path: Path, content: object) -> None:
    """Write a whole JSON file or nothing."""
    with atomic_write(path) as temporary:
        temporary.write_text(json.dumps(content, indent=1, sort_keys=True), "utf-8")


def sqlite_url(path: Path) -> str:
    """The URL of a SQLite file; characters that mean something in a URL are quoted.

    >>> sqlite_url(Path("/data/churn%20model/what?/ledger.db"))
    'sqlite:////data/churn%2520model/what%3F/ledger.db'
    """
    return f"sqlite:///{quote(str(path))}"


@contextmanager
def exclusive_lock(path: Path, work: str) -> Generator[None, None, None]:
    """Hold the lock at `path` while the block runs.

    The lock belongs to the process, so a killed process leaves none behind. Raises Busy if another process holds it.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w") as lock_file:
        try:
            fcntl.flock(lock_file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise Busy(f"Another process is {work} {path.parent}.", "Run this again when it has finished.") from None
        yield


@contextmanager
def atomic_write(path: Path) -> Generator[Path, None, None]:
    """A temporary path that replaces `path` if the block succeeds, and is removed if it does not.

    The permissions of a file that is replaced stay.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        yield temporary
        if path.exists():
            temporary.chmod(path.stat().st_mode & PERMISSION_BITS)
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


@contextmanager
def locked_folder(folder: Path) -> Generator[None]:
    """Hold the lock of a folder, made for its owner only; wait while another process holds it."""
    folder.mkdir(parents=True, exist_ok=True)
    folder.chmod(0o700)
    with awaited_lock(folder / LOCK):
        yield


@contextmanager
def awaited_lock(path: Path) -> Generator[None]:
    """Hold the lock at `path`; wait while another process holds it."""
    with path.open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def lock_for_use(folder: Path) -> IO[str]:
    """A lock that keeps a folder from being removed by `remove_unless_used` until it is closed or the process ends."""
    lock = (folder / LOCK).open("w")
    fcntl.flock(lock, fcntl.LOCK_SH)
    return lock


def remove_unless_used(folder: Path) -> int:
    """Remove a folder that no process uses; returns the bytes freed. The caller holds the lock of its parent."""
    with (folder / LOCK).open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return 0
        return remove_folder(folder)


def remove_unread(folder: Path, keep: Path | None = None) -> int:
    """Remove the contents that no process reads, except one, and what a killed process left; returns the bytes freed.

    The caller holds the lock of the folder.
    """
    return sum(remove_unless_used(path) for path in folder.iterdir() if path.is_dir() and path != keep)


def remove_folder(folder: Path) -> int:
    """Remove a folder; returns the bytes freed."""
    size = sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())
    shutil.rmtree(folder)
    return size
