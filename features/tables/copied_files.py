"""The copies of sources that are no local files: which ones are present, and the lock under which they are read.

Each copy is a folder of its own, which never changes: `COPIES/ID/SOURCE/...`. A pointer names the present one, with a
hash of what was declared when it was made: if the mapping asks for something else since, there is no copy.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from pydantic import BaseModel

from configs.files import LOCK, lock_for_use
from configs.stored_files import read_rebuildable

POINTER = "present.json"
ATTEMPTS = 5  # another process may replace the copy between a look at the pointer and the lock


@dataclass(frozen=True)
class PresentCopy:
    """The pointer to the present copy, and the entity tags of its objects."""

    declared: str
    copy: str
    tags: Mapping[str, str]


@dataclass(frozen=True)
class CopiedFiles:
    """The files of each copied source, none before its first copy. The lock keeps them from being removed."""

    files: Mapping[str, tuple[Path, ...]]
    lock: IO[str] | None = None


def find_copies(folder: Path | None, sources: Mapping[str, BaseModel]) -> CopiedFiles:
    """The present copy of these sources."""
    nothing = CopiedFiles(dict.fromkeys(sources, ()))
    if not sources or folder is None:
        return nothing
    for _ in range(ATTEMPTS):
        present = read_rebuildable(folder / POINTER, PresentCopy)
        if present is None or present.declared != hash_declared(sources):
            break
        copy = folder / present.copy
        lock = _lock(copy)
        if lock and copy.exists():  # whoever removes a copy holds its lock until nothing is left
            return CopiedFiles({name: list_copied(copy / name) for name in sources}, lock)
    return nothing


def _lock(copy: Path) -> IO[str] | None:
    try:
        return lock_for_use(copy)
    except FileNotFoundError:
        return None


def list_copied(folder: Path) -> tuple[Path, ...]:
    """The files of a copied source, in order."""
    return tuple(sorted(file for file in folder.rglob("*") if file.is_file() and file.name != LOCK))


def hash_declared(sources: Mapping[str, BaseModel]) -> str:
    """A hash of what is declared of these sources."""
    declared = {name: source.model_dump_json() for name, source in sorted(sources.items())}
    return hashlib.sha256(repr(declared).encode()).hexdigest()[:16]
