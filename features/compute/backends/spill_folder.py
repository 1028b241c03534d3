"""The folder of one connection for what does not fit into memory: private, of a random name, and removed with it."""

import shutil
import tempfile
import weakref
from pathlib import Path
from typing import IO

from configs.files import lock_for_use, locked_folder, remove_unless_used

SPILL = "spill"  # beside the other folders of the state


def make_spill_folder(parent: Path | None, owner: object) -> Path:
    """A new folder inside `parent`, or among the system's temporary ones, removed when `owner` or this process ends.

    The folders of killed processes are removed first.
    """
    if parent is None:
        scratch = tempfile.TemporaryDirectory(prefix="oarlock-", ignore_cleanup_errors=True)
        weakref.finalize(owner, scratch.cleanup)
        return Path(scratch.name)
    with locked_folder(parent):
        for path in filter(Path.is_dir, parent.iterdir()):
            remove_unless_used(path)
        folder = Path(tempfile.mkdtemp(dir=parent))
        lock = lock_for_use(folder)
    weakref.finalize(owner, _remove, folder, lock)
    return folder


def _remove(folder: Path, lock: IO[str]) -> None:
    shutil.rmtree(folder, ignore_errors=True)
    lock.close()
