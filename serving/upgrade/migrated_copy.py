"""A copy of a ledger's database at the newest schema, to try an upgrade on; the database itself stays as it is.

SQLite is copied by its backup API into a folder of its own. Of Postgres one transaction makes a schema of its own,
copies every row as of one instant, migrates the copy, and is rolled back at the end: a process that is killed leaves
nothing either.
"""

import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import sqlalchemy as sql
from sqlalchemy.exc import ProgrammingError

from configs.errors import NotReady
from serving.backup.ledger_copy import copy_sqlite
from serving.ledger.database import migrate, read_database, schema_revision
from serving.ledger.schema import HEAD_REVISION, VERSION_TABLE


@dataclass(frozen=True)
class MigratedCopy:
    """A connection to the copy, the revision that it had, and how many rows each of its tables had and has."""

    connection: sql.Connection
    from_revision: str
    rows_before: Mapping[str, int]
    rows_after: Mapping[str, int]


@contextmanager
def migrated_copy(location: Path | str, scratch: Path) -> Iterator[MigratedCopy]:
    """Copy a database and migrate the copy, which exists until the block ends; a SQLite file is copied to a folder.

    Raises NotReady for a database that is empty or cannot be reached or copied, ConfigError for one of a later release.
    """
    with _copied(location, scratch) as connection:
        revision = schema_revision(connection)
        assert revision is not None
        before = _count_rows(connection)
        if revision != HEAD_REVISION:
            migrate(connection)
        yield MigratedCopy(connection, revision, before, _count_rows(connection))


@contextmanager
def _copied(location: Path | str, scratch: Path) -> Iterator[sql.Connection]:
    if isinstance(location, Path):
        if not location.exists():
            raise _no_tables()
        copy = scratch / location.name
        copy_sqlite(location, copy)
        with read_database(copy) as connection:
            _require_tables(connection)
            yield connection
        return
    with read_database(location) as connection:
        connection.execution_options(isolation_level="REPEATABLE READ")
        _require_tables(connection)
        _copy_within_postgres(connection)
        yield connection


def _require_tables(connection: sql.Connection) -> None:
    if schema_revision(connection) is None:
        raise _no_tables()


def _no_tables() -> NotReady:
    return NotReady("The ledger has no tables yet, so there is nothing to upgrade.", "Run `oarlock score --all` first.")


def _copy_within_postgres(connection: sql.Connection) -> None:
    """Copy every table of the current schema into a new one, which becomes the current one."""
    quote = connection.dialect.identifier_preparer.quote
    source = connection.execute(sql.select(sql.func.current_schema())).scalar_one()
    revision, copy = schema_revision(connection), f"oarlock_upgrade_{uuid.uuid4().hex[:12]}"
    try:
        connection.exec_driver_sql(f"create schema {copy}")
    except ProgrammingError as error:
        message = f"A dry run copies the ledger into a schema of its own, which cannot be made: {error.orig}".strip()
        raise NotReady(f"{message}.", "Let a user run it who may create schemas in the database.") from None
    connection.exec_driver_sql(f"set local search_path to {copy}")
    migrate(connection, revision or HEAD_REVISION)
    for table in _own_tables(connection):
        columns = ", ".join(quote(column["name"]) for column in sql.inspect(connection).get_columns(table, copy))
        rows = f"select {columns} from {quote(source)}.{quote(table)}"
        connection.exec_driver_sql(f"insert into {copy}.{quote(table)} ({columns}) {rows}")


def _count_rows(connection: sql.Connection) -> Mapping[str, int]:
    count = sql.select(sql.func.count())
    return {
        name: connection.execute(count.select_from(sql.table(name))).scalar_one() for name in _own_tables(connection)
    }


def _own_tables(connection: sql.Connection) -> list[str]:
    """The tables of the current schema without the one that names the revision."""
    is_sqlite = connection.dialect.name == "sqlite"
    schema = None if is_sqlite else connection.execute(sql.select(sql.func.current_schema())).scalar_one()
    return sorted(set(sql.inspect(connection).get_table_names(schema)) - {VERSION_TABLE})
