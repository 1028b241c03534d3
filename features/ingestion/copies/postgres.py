"""Copies tables and queries of a Postgres database as CSV: read only, and all of one database as of one instant.

Every value is written as text by the server and cast by the contract, as those of files are. The rows are sorted, so
that equal rows make an equal file, in whatever order the server returns them. The password comes from the environment.
"""

import csv
import os
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from configs.errors import ConfigError, NotReady, OarlockError
from configs.sections.publishing import EngineSettings
from features.compute.backends.base import describe
from features.compute.backends.duckdb import duckdb_errors, open_duckdb, quote_text
from features.compute.backends.parquet_files import escape_pattern
from features.ingestion.files.csv_source import CSV_OPTIONS
from features.tables.mapping import SourceMapping

if TYPE_CHECKING:
    from psycopg import Connection

CONNECT_SECONDS, LOCK_SECONDS, SILENT_SECONDS = 10, 30, 60
# How the server writes values, whatever the database and its users set.
SESSION = {
    "timezone": "UTC",
    "datestyle": "ISO, YMD",
    "intervalstyle": "iso_8601",
    "extra_float_digits": "1",
    "bytea_output": "hex",
    "client_encoding": "UTF8",
    "lock_timeout": str(LOCK_SECONDS * 1000),
}
CSV = "format csv, header true"
Address = tuple[str, str | None]  # the database, and the variable with its password


def copy_tables(sources: Mapping[str, SourceMapping], folder: Path, spill: Path) -> None:
    """Write the rows of each source to `FOLDER/SOURCE/SOURCE.csv`; those of one database are of one instant.

    Raises ConfigError for a source that cannot be read, NotReady if a database does not answer.
    """
    for address in dict.fromkeys(map(_address, sources.values())):
        with open_snapshot(*address) as connection:
            for name, source in sources.items():
                if _address(source) == address:
                    _copy(connection, name, source, folder / f"{name}.unsorted")
    for name in sources:
        (folder / name).mkdir()
        _sort(folder / f"{name}.unsorted", folder / name / f"{name}.csv", spill)


@contextmanager
def open_snapshot(database: str, password_env: str | None) -> "Generator[Connection]":
    """A transaction that cannot write, in which every query sees the same instant.

    Raises ConfigError without psycopg or the password, NotReady if the database cannot be reached.
    """
    psycopg = _import_psycopg()
    try:
        connection = psycopg.connect(_connection_text(database, password_env))
    except psycopg.Error as error:
        message = f"Cannot reach the database of the sources: {first_line(error)}."
        raise NotReady(message, "Start the database, or check `database` and its password.") from None
    with connection:
        connection.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
        connection.read_only = True
        for name, value in SESSION.items():
            connection.execute("select set_config(%s, %s, true)", (name, value))
        yield connection
        connection.rollback()


def first_line(error: Exception) -> str:
    """The first line of a server's message, without the full stop."""
    lines = str(error).strip().splitlines() or [type(error).__name__]
    return lines[0].rstrip(".")


def _address(source: SourceMapping) -> Address:
    return source.database or "", source.password_env


def _import_psycopg():
    try:
        import psycopg
    except ImportError:
        message = "A source is a Postgres database, and psycopg is not installed."
        raise ConfigError(message, 'Install it: pip install "psycopg[binary]".') from None
    return psycopg


def _connection_text(database: str, password_env: str | None) -> str:
    """What libpq connects by; it stays in this process."""
    from psycopg.conninfo import make_conninfo

    limits = {"connect_timeout": CONNECT_SECONDS, "tcp_user_timeout": SILENT_SECONDS * 1000}
    password = None if password_env is None else _password(password_env)
    return make_conninfo(database, password=password, application_name="oarlock", **limits)


def _password(variable: str) -> str:
    if variable not in os.environ:
        message = f"The environment has no variable {variable}, which is to hold the password of a source."
        raise ConfigError(message, "Set it, or correct password_env in the mapping.")
    return os.environ[variable]


def _copy(connection: "Connection", name: str, source: SourceMapping, file: Path) -> None:
    psycopg = _import_psycopg()
    try:
        select = source.query or _select_table(source.table or "")
        _require_single_statement(connection, select)
        statement = f"copy (\n{select}\n) to stdout ({CSV})"
        with file.open("wb") as output, connection.cursor().copy(statement.encode()) as rows:
            for chunk in rows:
                output.write(chunk)
    except psycopg.OperationalError as error:
        message = f"The source '{name}' cannot be read now: {first_line(error)}."
        raise NotReady(message, "Run this again when the database answers.") from None
    except psycopg.Error as error:
        raise _source_error(name, first_line(error)) from None


def _select_table(table: str) -> str:
    from psycopg.sql import Identifier

    return f"select * from {Identifier(*table.split('.')).as_string()}"


def _require_single_statement(connection: "Connection", select: str) -> None:
    """Raise psycopg.Error unless the server takes the text for one statement: none can end ours and begin another.

    What is one statement by itself and not in brackets, such as a COPY or a DELETE, the server rejects when it runs.
    """
    from psycopg.errors import error_from_result
    from psycopg.pq import ExecStatus

    result = connection.pgconn.prepare(b"", select.encode())
    if result.status != ExecStatus.COMMAND_OK:
        raise error_from_result(result)


def _source_error(name: str, reason: str) -> OarlockError:
    reason = reason.removeprefix("ERROR:").strip()
    return ConfigError(f"The source '{name}' cannot be read from its database: {reason}.", "Correct it in the mapping.")


def _sort(unsorted: Path, target: Path, spill: Path) -> None:
    backend = open_duckdb(EngineSettings(), spill, files=[unsorted], folders=[target.parent])
    types = ", ".join(f"{quote_text(name)}: 'VARCHAR'" for name in _header(unsorted))
    options = f"columns = {{{types}}}, delim = ',', {CSV_OPTIONS}"
    try:
        rows = f"select * from read_csv({quote_text(escape_pattern(str(unsorted)))}, {options})"
        backend.connection.raw_sql(f"copy ({rows} order by all) to {quote_text(str(target))} (format csv, header true)")
    except duckdb_errors() as error:
        raise _source_error(target.stem, describe(error)) from None
    unsorted.unlink()


def _header(file: Path) -> list[str]:
    with file.open(encoding="utf-8", newline="") as text:
        columns = next(csv.reader(text), [])
    folded = [name.casefold() for name in columns]
    repeated = next((name for name in columns if folded.count(name.casefold()) > 1), None)
    if repeated is not None:
        raise _source_error(file.stem, f"it has the column '{repeated}' twice")
    return columns
