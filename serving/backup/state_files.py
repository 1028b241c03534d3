"""The files of a state folder that a backup holds, and those that it leaves out because they are made anew.

Files that name others come first, then what they name: the pointer to the champion before its bundle, MLflow's database
before its artifacts. What is named then exists when it is copied, because training adds artifacts before it registers
them, and a bundle is verified before the pointer names it.
"""

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from configs.files import LOCK
from configs.state_dir import StateDir

# Compiled code, what is made of the raw tables, what BentoML and DuckDB write while they run, and counts of a minute.
REBUILT = frozenset({"compiled", "converted", "events", "service", "spill", "rate_limits.bin"})
UNFINISHED_SUFFIXES = (".tmp", ".new", "-wal", "-shm", "-journal")
ARTIFACTS = ("mlflow", "artifacts")


@dataclass(frozen=True)
class FirstFiles:
    """The files that are copied before all others.

    `pointers` name what else is served, `log` is the write-ahead log of the ledger, and `databases` are the SQLite
    files beside the ledger.
    """

    pointers: tuple[Path, ...]
    log: tuple[Path, ...]
    databases: tuple[Path, ...]


def list_first_files(state: StateDir) -> FirstFiles:
    """The files that are copied first."""
    pointers = (state.champion_pointer, state.shadow, state.models, state.model_report)
    files = [path for path in _walk(state.folder, state.folder) if not path.is_symlink()]
    log = [path for path in files if path.is_relative_to(state.write_ahead_log)]
    databases = [path for path in files if path != state.ledger and is_database(state, path)]
    return FirstFiles(tuple(path for path in pointers if path.exists()), tuple(log), tuple(databases))


def list_plain_files(state: StateDir) -> Iterator[Path]:
    """All other files and the links that lead to another path of the folder; call it when the first ones are copied."""
    first = {state.champion_pointer, state.shadow, state.models, state.model_report}
    for path in _walk(state.folder, state.folder):
        if path not in first and not path.is_relative_to(state.write_ahead_log) and not is_database(state, path):
            yield path


def list_files(folder: Path) -> Iterator[Path]:
    """The files below any folder that a backup holds, and its links to others of them."""
    return _walk(folder, folder) if folder.exists() else iter(())


def is_database(state: StateDir, path: Path) -> bool:
    """Whether a file is one of SQLite. Feast's registries have the same suffix and are replaced as a whole."""
    return path.suffix == ".db" and (not path.is_relative_to(state.feast) or path == state.feast / "packed.db")


def is_inner_link(root: Path, path: Path) -> bool:
    """Whether a path is a link to another path below the folder."""
    return path.is_symlink() and link_target(path).is_relative_to(root)


def link_target(path: Path) -> Path:
    """Where a link leads, written as a path; the folders on the way may be links to another disk."""
    return Path(os.path.normpath(path.parent / path.readlink()))


def _walk(root: Path, folder: Path) -> Iterator[Path]:
    """The files below a folder, in the order of their names; a folder that is a link to another disk is followed."""
    for entry in sorted(os.scandir(folder), key=lambda entry: entry.name):
        path = Path(entry.path)
        if _is_left_out(root, path):
            continue
        if is_inner_link(root, path):
            yield path
        elif entry.is_dir():
            yield from _walk(root, path)
        elif entry.is_file():
            yield path


def _is_left_out(root: Path, path: Path) -> bool:
    if path.relative_to(root).parts[:2] == ARTIFACTS:
        return False  # whatever they are called
    is_of_root = path.parent == root and (path.name in REBUILT or path.suffix == ".lock")
    return is_of_root or path.name.startswith(".") or path.name == LOCK or path.name.endswith(UNFINISHED_SUFFIXES)
