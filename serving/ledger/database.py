"""The database of the ledger, the keys and the webhooks: SQLite in the state folder, or Postgres.

Alembic creates and migrates its tables, one process at a time. An up-to-date database costs one query: Alembic is not
even imported.
"""

import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Literal

import sqlalchemy as sql
from sqlalchemy import event
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.exc import ArgumentError, DatabaseError, NoSuchModuleError, OperationalError

from configs.errors import Busy, ConfigError, NotReady
from configs.files import sqlite_url
from configs.servers.faults import first_line
from configs.servers.postgres import CONNECT_SECONDS, PROBE_SECONDS, SILENT_SECONDS, watch_postgres, with_driver
from configs.stored_files import sqlite_fault
from serving.ledger.schema import HEAD_REVISION, VERSION_TABLE

LOCK_SECONDS = 5.0  # how long a statement waits for what another process keeps locked
SECURE_DELETE = "pragma secure_delete=on"  # SQLite overwrites what is deleted
MIGRATION_LOCK = 0x6F61726C  # any number, as long as nothing else locks it: "oarl"
MIGRATIONS = Path(__file__).with_name("migrations")
Durability = Literal["process", "fsync"]


def open_database(
    location: Path | str, durability: Durability = "process", lock_seconds: float = LOCK_SECONDS
) -> sql.Engine:
    """The database at a path (SQLite) or URL, with every table in place.

    With "fsync" a commit waits for the disk. A lock is waited for so many seconds, and then OperationalError is raised
    by what needs it. Raises ConfigError for an invalid URL or a schema that this release does not know, NotReady if the
    database cannot be reached. Of SQLite every use raises DamagedState for a damaged file and StorageFull for a full
    disk.
    """
    engine = _create_engine(location, durability, lock_seconds)
    try:
        with engine.connect() as connection:
            revision = schema_revision(connection)
        if revision != HEAD_REVISION:
            with _migration_transaction(engine) as connection:
                migrate(connection)
    except DatabaseError as error:
        raise _unreachable(error) from None
    return engine


def migrate_database(location: Path | str, revision: str = HEAD_REVISION) -> str | None:
    """Bring the tables of a database to a revision, and keep every row; returns the revision that they had.

    Raises ConfigError for a schema that this release does not know, NotReady if the database cannot be reached.
    """
    engine = _create_engine(location, "process", LOCK_SECONDS)
    try:
        with _migration_transaction(engine) as connection:
            before = schema_revision(connection)
            migrate(connection, revision)
        return before
    except DatabaseError as error:
        raise _unreachable(error) from None
    finally:
        engine.dispose()


@contextmanager
def read_database(location: Path | str) -> Iterator[sql.Connection]:
    """A connection to a database as it is, whatever its schema; what is written over it is rolled back.

    Raises NotReady if it cannot be reached, DamagedState for a damaged file.
    """
    engine = _create_engine(location, "process", LOCK_SECONDS)
    try:
        with engine.connect() as connection:
            yield connection
    except OperationalError as error:
        raise _unreachable(error) from None
    finally:
        engine.dispose()


def stored_revision(location: Path | str) -> str | None:
    """The revision of a database's tables, which stay as they are; None if there are none.

    Raises NotReady if it cannot be reached, DamagedState for a damaged file.
    """
    if isinstance(location, Path) and not location.exists():
        return None
    with read_database(location) as connection:
        return schema_revision(connection)


@contextmanager
def exclusive_work(engine: sql.Engine, name: str) -> Iterator[None]:
    """Hold the lock of this name in a Postgres database while the block runs, against processes on other machines.

    SQLite is of one machine, where a lock file does. Raises Busy if another process holds the lock.
    """
    if engine.dialect.name == "sqlite":
        yield
        return
    # Of the session and not of a transaction: one that stays open for hours stops vacuum, and may be ended as idle.
    key = MIGRATION_LOCK, zlib.crc32(name.encode()) - 2**31
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        if not connection.execute(sql.select(sql.func.pg_try_advisory_lock(*key))).scalar():
            raise Busy(f"Another process is running {name}.", "Run this again when it has finished.")
        try:
            yield
        finally:
            connection.execute(sql.select(sql.func.pg_advisory_unlock(*key)))


def upsert(table: sql.Table, engine: sql.Engine) -> sqlite.Insert | postgresql.Insert:
    """An insert that has `on_conflict_do_update` and `on_conflict_do_nothing` on either database."""
    return (sqlite if engine.dialect.name == "sqlite" else postgresql).insert(table)


def without_nul(value: object) -> object:
    """The value as Postgres takes it: it refuses NUL in a text."""
    return value.replace("\0", "") if isinstance(value, str) else value


def _create_engine(location: Path | str, durability: Durability, lock_seconds: float) -> sql.Engine:
    if isinstance(location, Path):
        location.parent.mkdir(parents=True, exist_ok=True)
        engine = sql.create_engine(sqlite_url(location), connect_args={"timeout": lock_seconds})
        event.listen(engine, "connect", lambda connection, _: _configure_sqlite(connection, durability))
        event.listen(engine, "handle_error", lambda context: _raise_for_file(context.original_exception, location))
        return engine
    try:
        url = sql.make_url(with_driver(location))
        if url.get_backend_name() != "postgresql":
            return sql.create_engine(url, pool_pre_ping=True)
        watch_postgres()
        engine = sql.create_engine(url, connect_args=_postgres_limits(lock_seconds), pool_pre_ping=True)
        event.listen(engine, "connect", lambda connection, _: _configure_postgres(connection, lock_seconds))
        return engine
    except (ArgumentError, ImportError, NoSuchModuleError) as error:
        # The message must not repeat the URL: it may hold a password.
        hint = 'Write "postgresql://user@host/database"; Postgres needs psycopg: pip install "psycopg[binary]".'
        raise ConfigError(f"ledger.url is not a usable database URL: {type(error).__name__}.", hint) from None


def _raise_for_file(error: BaseException, file: Path) -> None:
    """Raise DamagedState or StorageFull for an error of SQLite that is one of its file or its disk."""
    hint = "Restore it from a backup, or move it away: the next command begins an empty one."
    if fault := sqlite_fault(error, file, hint):
        raise fault from error


def _configure_sqlite(connection: sql.PoolProxiedConnection, durability: Durability) -> None:
    cursor = connection.cursor()
    # Readers do not wait for the writer, and a killed process loses nothing that was committed.
    cursor.execute("pragma journal_mode=wal")
    cursor.execute(SECURE_DELETE)
    cursor.execute(f"pragma synchronous={'full' if durability == 'fsync' else 'normal'}")


def _postgres_limits(lock_seconds: float) -> dict[str, float]:
    """How long a connection waits for a server, if a statement waits for a lock for so long."""
    return {
        "connect_timeout": max(PROBE_SECONDS, min(CONNECT_SECONDS, int(lock_seconds))),
        "silent_seconds": min(SILENT_SECONDS, lock_seconds / 2),
    }


def _configure_postgres(connection: sql.PoolProxiedConnection, lock_seconds: float) -> None:
    # Postgres waits for a lock for ever by default.
    connection.cursor().execute(f"set lock_timeout = {round(lock_seconds * 1000)}")
    connection.commit()


def schema_revision(connection: sql.Connection) -> str | None:
    """The revision of a database's tables; None if there are none."""
    if not sql.inspect(connection).has_table(VERSION_TABLE):
        return None
    return connection.execute(sql.text(f"select version_num from {VERSION_TABLE}")).scalar()


def migrate(connection: sql.Connection, revision: str = HEAD_REVISION) -> None:
    """Bring the tables to a revision, a newer or an older one, and keep every row.

    Raises ConfigError for a schema that this release does not know.
    """
    from alembic import command
    from alembic.config import Config
    from alembic.util import CommandError

    config = Config(attributes={"connection": connection})
    config.set_main_option("script_location", str(MIGRATIONS))
    is_back = revision < (schema_revision(connection) or "")
    try:
        command.downgrade(config, revision) if is_back else command.upgrade(config, revision)
    except CommandError:
        message = f"This release of Oarlock does not know the schema of the ledger's database, only {HEAD_REVISION}."
        raise ConfigError(message, "Use the release that wrote the database, or a newer one.") from None


@contextmanager
def _migration_transaction(engine: sql.Engine) -> Iterator[sql.Connection]:
    """A transaction that only one process at a time can be in."""
    if engine.dialect.name != "sqlite":
        with engine.begin() as connection:
            connection.execute(sql.select(sql.func.pg_advisory_xact_lock(MIGRATION_LOCK)))
            yield connection
        return
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.exec_driver_sql("begin immediate")
        try:
            yield connection
            connection.exec_driver_sql("commit")
        except BaseException:
            connection.exec_driver_sql("rollback")
            raise


def _unreachable(error: DatabaseError) -> NotReady:
    message = f"Cannot reach the database of the ledger: {first_line(error.orig or error)}."
    return NotReady(message, "Start the database, or check ledger.url.")
