"""Locks of folders: a process that uses a folder holds its lock, so that what a killed process left can be removed."""

import fcntl
import shutil
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

LOCK = "lock"


@contextmanager
def locked_folder(folder: Path) -> Generator[None]:
    """Hold the lock of a folder, made for its owner only; wait while another process holds it."""
    folder.mkdir(parents=True, exist_ok=True)
    folder.chmod(0o700)
    with (folder / LOCK).open("w") as lock:
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


def remove_folder(folder: Path) -> int:
    """Remove a folder; returns the bytes freed."""
    size = sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())
    shutil.rmtree(folder)
    return size
