"""The folder of one connection for what does not fit into memory: private, of a random name, and removed with it."""

import fcntl
import shutil
import tempfile
import weakref
from pathlib import Path

SPILL = "spill"  # beside the other folders of the state
LOCK = "lock"


def make_spill_folder(parent: Path | None, owner: object) -> Path:
    """A new folder inside `parent`, or among the system's temporary ones, removed when `owner` or this process ends.

    The folders of killed processes are removed first: a process holds the lock of its folder for as long as it lives.
    """
    if parent is None:
        scratch = tempfile.TemporaryDirectory(prefix="oarlock-", ignore_cleanup_errors=True)
        weakref.finalize(owner, scratch.cleanup)
        return Path(scratch.name)
    parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    with (parent / LOCK).open("w") as parent_lock:
        fcntl.flock(parent_lock, fcntl.LOCK_EX)
        _remove_abandoned(parent)
        folder = Path(tempfile.mkdtemp(dir=parent))
        lock = (folder / LOCK).open("w")
        fcntl.flock(lock, fcntl.LOCK_EX)
    weakref.finalize(owner, _remove, folder, lock)
    return folder


def _remove_abandoned(parent: Path) -> None:
    for folder in parent.iterdir():
        if folder.is_dir():
            with (folder / LOCK).open("w") as lock:
                try:
                    fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                except BlockingIOError:
                    continue
                shutil.rmtree(folder)


def _remove(folder: Path, lock: object) -> None:
    del lock  # held until here
    shutil.rmtree(folder, ignore_errors=True)
