"""The folder of converted tables: a folder for each content, locked while it is written or read, and removed."""

import fcntl
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

LOCK = "lock"


def converted_files(folder: Path) -> list[Path]:
    """The files of all converted tables."""
    return sorted(folder.glob("*/*.parquet"))


def remove_conversions(folder: Path) -> None:
    """Remove all converted tables, even while another process reads them; the next command converts again."""
    with exclusive(folder):
        for path in folder.iterdir():
            if path.is_dir():
                _remove(path)


def remove_unread(folder: Path, keep: Path | None = None) -> int:
    """Remove the contents that no process reads, except one, and what a killed process left; returns the bytes freed.

    The caller holds the lock of the folder.
    """
    return sum(_remove_unless_read(path) for path in folder.iterdir() if path.is_dir() and path != keep)


def lock_for_reading(content: Path) -> IO[str]:
    """A lock that keeps a content from being removed by `remove_unread` until it is closed or the process ends."""
    lock = (content / LOCK).open("w")
    fcntl.flock(lock, fcntl.LOCK_SH)
    return lock


@contextmanager
def exclusive(folder: Path) -> Iterator[None]:
    """Hold the lock of the folder, so that one process converts and the others wait and read the same."""
    folder.mkdir(parents=True, exist_ok=True)
    folder.chmod(0o700)
    with (folder / LOCK).open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _remove_unless_read(path: Path) -> int:
    with (path / LOCK).open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return 0
        return _remove(path)


def _remove(path: Path) -> int:
    size = sum(file.stat().st_size for file in path.rglob("*") if file.is_file())
    shutil.rmtree(path)
    return size
