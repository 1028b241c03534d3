"""Files that a library or a person may have spoiled: read with care, and named if they cannot be read.

A file of the state folder is read with `read_stored`, or by a library inside `damaged_if`. One that is cut short, or
that something else wrote to, is then one sentence with what makes it anew. A full disk is recognised in whatever error
a library makes of it.
"""

import errno
import re
import shutil
import sqlite3
import sys
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from typing import Any, TypeVar

from pydantic import TypeAdapter, ValidationError

from configs.errors import DamagedState, NotReady, OarlockError, StorageFull

Content = TypeVar("Content")
NO_SPACE = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
NO_SPACE_TEXT = re.compile("no space left|disk is full|disk quota exceeded|file too large", re.IGNORECASE)
DAMAGED_SQLITE = frozenset({sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_FORMAT})
PRIMARY_CODE = 0xFF
NEARLY_FULL_BYTES = 100_000
LIBRARY_ERRORS = {
    "sqlite3": "Error",
    "duckdb": "Error",
    "pyarrow": "ArrowException",
    "sqlalchemy.exc": "DBAPIError",
    "mlflow.exceptions": "MlflowException",
    "lightgbm.basic": "LightGBMError",
}


def read_stored(path: Path, kind: type[Content], hint: str) -> Content:
    """The JSON in a file of the state folder, as a value of this type.

    Raises FileNotFoundError without a file, DamagedState with the hint for one that holds something else.
    """
    try:
        return _type_adapter(kind).validate_json(path.read_bytes())
    except FileNotFoundError:
        raise
    except ValidationError as error:
        raise damaged(path, _describe(error), hint) from None
    except OSError as error:
        raise damaged(path, error.strerror or type(error).__name__, hint) from None


def read_rebuildable(path: Path, kind: type[Content]) -> Content | None:
    """The JSON in a file that the caller can make anew; None if it is missing or holds something else."""
    try:
        return read_stored(path, kind, "")
    except (FileNotFoundError, DamagedState):
        return None


@contextmanager
def damaged_if(errors: tuple[type[Exception], ...], path: Path, hint: str) -> Generator[None, None, None]:
    """Raise DamagedState with the hint if one of these errors is raised while a file of the state folder is read.

    Raises StorageFull if the error is that of a full disk.
    """
    try:
        yield
    except errors as error:
        raise find_full_disk(error, path) or damaged(path, str(error) or type(error).__name__, hint) from error


def damaged(path: Path, fault: str, hint: str) -> DamagedState:
    """The error for a file of the state folder that cannot be read; only the first line of the fault is kept."""
    lines = fault.strip().splitlines() or ["it is not complete"]
    return DamagedState(f"{path} cannot be read: {lines[0].rstrip('.')}.", hint)


def sqlite_fault(error: BaseException | None, path: Path, hint: str) -> NotReady | None:
    """What an error of SQLite means if the file is damaged or the disk full; None for any other error."""
    if not isinstance(error, sqlite3.Error):
        return None
    is_damaged = getattr(error, "sqlite_errorcode", 0) & PRIMARY_CODE in DAMAGED_SQLITE
    has_other_tables = str(error).startswith(("no such table", "no such column"))
    return damaged(path, str(error), hint) if is_damaged or has_other_tables else find_full_disk(error, path)


def find_full_disk(error: BaseException, path: Path | None = None) -> StorageFull | None:
    """The error to report if an error, or what caused it, is that of a full disk (of `path`); None if it is another."""
    is_full = any(_is_full_disk(cause) for cause in _causes(error))
    if not (is_full or (path and _is_sqlite_io_error(error) and _has_no_space(path))):
        return None
    return StorageFull(
        "The disk is full: nothing of this was written.", "Free space where the state folder is, and run it again."
    )


def storage_error_types() -> tuple[type[Exception], ...]:
    """The errors of the file system and of the libraries that this process has imported; none is imported for it."""
    loaded = {module: name for module, name in LIBRARY_ERRORS.items() if module in sys.modules}
    return (OSError, *(getattr(sys.modules[module], name) for module, name in loaded.items()))


def explain_storage_error(error: Exception) -> OarlockError | None:
    """The error to report for a full disk, or for a file that the system refuses; None for any other error."""
    if full := find_full_disk(error):
        return full
    if isinstance(error, OSError) and error.filename:
        hint = "Check the path, its permissions and its disk."
        return NotReady(f"Cannot use {error.filename}: {error.strerror or type(error).__name__}.", hint)
    return None


def _is_full_disk(error: BaseException) -> bool:
    if isinstance(error, OSError) and error.errno in NO_SPACE:
        return True
    return NO_SPACE_TEXT.search(str(error)) is not None


def _is_sqlite_io_error(error: BaseException) -> bool:
    """SQLite says this and no more if it cannot write the index of its log, which readers need too."""
    return getattr(error, "sqlite_errorcode", 0) & PRIMARY_CODE == sqlite3.SQLITE_IOERR


def _has_no_space(path: Path) -> bool:
    return shutil.disk_usage(path.parent).free < NEARLY_FULL_BYTES


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__


def _describe(error: ValidationError) -> str:
    first = error.errors(include_url=False)[0]
    field = ".".join(map(str, first["loc"]))
    return f"{field}: {first['msg']}" if field else first["msg"]


@lru_cache(maxsize=32)
def _type_adapter(kind: type[Any]) -> TypeAdapter[Any]:
    return TypeAdapter(kind)
