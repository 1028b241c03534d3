"""What an error of the file system, or of a library that uses it, means for the person who ran a command."""

import sys

from configs.errors import NotReady, OarlockError
from configs.stored_files import find_full_disk

LIBRARY_ERRORS = {
    "sqlite3": "Error",
    "duckdb": "Error",
    "pyarrow": "ArrowException",
    "sqlalchemy.exc": "DBAPIError",
    "mlflow.exceptions": "MlflowException",
    "lightgbm.basic": "LightGBMError",
}


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
