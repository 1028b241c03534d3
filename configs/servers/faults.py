"""What an error of a library means if it is that of a server: one sentence that names the server and the next step."""

import re
import sys
from collections.abc import Iterator

from configs.errors import DatabaseDown, NotReady, OarlockError

MLFLOW_HINT = "Start its server and the database behind it, or check stores.mlflow."
DATABASE_HINT = "Start Postgres, or check ledger.url and stores.feast_registry; then run this again."
# MLflow names the reason at the end of a long text of the library that it asks with.
MLFLOW_REASONS = {
    "refused": "refuses connections",
    "timed out": "does not answer in time",
    "too many 50": "answers with errors of its own",
    "500 server error": "answers with errors of its own",
    "connection aborted": "closed the connection",
    "remote end closed": "closed the connection",
    "reset by peer": "closed the connection",
}


def explain_server_error(error: BaseException) -> OarlockError | None:
    """The error to report if an error, or what caused it, is that of Postgres or MLflow; None for any other."""
    for cause in _causes(error):
        if _is_a(cause, "psycopg", "OperationalError"):
            return database_unreachable(cause)
        if _is_a(cause, "requests", "RequestException") or _is_mlflow_unreachable(cause):
            return mlflow_unreachable(cause)
    return None


def database_unreachable(error: BaseException) -> DatabaseDown:
    """The error for a Postgres that refuses, ends or does not answer a connection."""
    return DatabaseDown(f"The database in Postgres cannot be used: {first_line(error)}.", DATABASE_HINT)


def mlflow_unreachable(error: BaseException) -> NotReady:
    """The error for a server or database of MLflow that cannot be used."""
    text = str(error)
    # An address may hold a password.
    address = re.search(r"https?://(?:[^@/\s]*@)?([^/\s]+)", text)
    reason = next((reason for words, reason in MLFLOW_REASONS.items() if words in text.lower()), None)
    if address and reason:
        return NotReady(f"Cannot use MLflow: its server {address[1]} {reason}.", MLFLOW_HINT)
    line = re.sub(r"://[^@/\s]*@", "://", first_line(error))[:200].rstrip(".")
    return NotReady(f"Cannot use MLflow: {line}.", MLFLOW_HINT)


def first_line(error: BaseException) -> str:
    """The first line of an error, without its full stop; its type if it has none."""
    lines = str(error).strip().splitlines() or [type(error).__name__]
    return lines[0].rstrip(".")


def _is_mlflow_unreachable(error: BaseException) -> bool:
    if not _is_a(error, "mlflow.exceptions", "MlflowException"):
        return False
    return "API request to" in str(error) or getattr(error, "error_code", "") == "INTERNAL_ERROR"


def _is_a(error: BaseException, module: str, name: str) -> bool:
    """Whether an error is of a class of a library, which is not imported for it."""
    return module in sys.modules and isinstance(error, getattr(sys.modules[module], name))


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__
