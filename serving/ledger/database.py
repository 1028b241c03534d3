"""The database behind the ledger, the keys and the webhooks: SQLite in the state folder, or Postgres.

A table that is missing is made when the database is opened. A change of a table that is there is a numbered step, taken
once, by one process at a time; a database with more steps than this release knows is refused.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import sqlalchemy as sql
from sqlalchemy import event
from sqlalchemy.exc import ArgumentError, NoSuchModuleError, OperationalError

from configs.errors import ConfigError, NotReady
from serving.ledger.schema import METADATA, SCHEMA

BUSY_SECONDS = 5
SECURE_DELETE = "pragma secure_delete=on"  # what is deleted is overwritten, not only taken off the books
ONE_AT_A_TIME = 0x6F61726C  # any number, as long as nothing else locks it: "oarl"
Step = Callable[[sql.Connection], None]
# Step n brings a database of number n - 1 to number n.
STEPS: tuple[Step, ...] = ()


def open_database(location: Path | str, durability: str = "process") -> sql.Engine:
    """The database at a path (SQLite) or URL, every table in place.

    `durability` is "fsync" where a commit waits for the disk itself. Raises ConfigError for a URL that is none or a
    schema that is newer than this release, NotReady where the database cannot be reached.
    """
    engine = _engine(location, durability)
    try:
        if not _is_up_to_date(engine):
            with _alone(engine) as connection:
                _bring_up_to_date(connection)
    except OperationalError as problem:
        raise NotReady(
            f"The database of the ledger cannot be reached: {_said(problem)}.", "Start it, or wait."
        ) from None
    return engine


def upsert(table: sql.Table, engine: sql.Engine) -> Any:
    """An insert into `table` that knows `on_conflict_do_update` and `on_conflict_do_nothing`, on either database."""
    from sqlalchemy.dialects import postgresql, sqlite

    return (sqlite if engine.dialect.name == "sqlite" else postgresql).insert(table)


def _engine(where: Path | str, durability: str) -> sql.Engine:
    if isinstance(where, Path):
        where.parent.mkdir(parents=True, exist_ok=True)
        engine = sql.create_engine(f"sqlite:///{where}", connect_args={"timeout": BUSY_SECONDS})
        event.listen(engine, "connect", lambda connection, _: _write_ahead(connection, durability))
        return engine
    try:
        url = sql.make_url(where.replace("postgresql://", "postgresql+psycopg://", 1))
        waits = {"connect_timeout": BUSY_SECONDS} if url.get_backend_name() == "postgresql" else {}
        return sql.create_engine(url, connect_args=waits, pool_pre_ping=True)
    except (ArgumentError, ImportError, NoSuchModuleError) as problem:
        # Not the URL itself: it may hold a password.
        hint = 'Write "postgresql://user@host/database" and install oarlock[postgres].'
        raise ConfigError(f"ledger.url names no database that can be used: {type(problem).__name__}.", hint) from None


def _write_ahead(connection: Any, durability: str) -> None:
    # Readers do not wait for the writer, and a killed process loses nothing that was committed.
    connection.execute("pragma journal_mode=wal")
    connection.execute(SECURE_DELETE)
    connection.execute(f"pragma synchronous={'full' if durability == 'fsync' else 'normal'}")


def _is_up_to_date(engine: sql.Engine) -> bool:
    there = set(sql.inspect(engine).get_table_names())
    if not METADATA.tables.keys() <= there:
        return False
    with engine.connect() as connection:
        return connection.execute(sql.select(SCHEMA.c.number)).scalar() == len(STEPS)


def _bring_up_to_date(connection: sql.Connection) -> None:
    had_risks = sql.inspect(connection).has_table("risks")
    METADATA.create_all(connection)
    number = connection.execute(sql.select(SCHEMA.c.number)).scalar()
    if number is None:
        # Made just now and complete, or by the first release, which kept no number.
        number = 0 if had_risks else len(STEPS)
        connection.execute(SCHEMA.insert().values(number=number))
    if number > len(STEPS):
        message = f"The database is of schema {number}; this release of Oarlock knows {len(STEPS)}."
        raise ConfigError(message, "Use the release that wrote it, or a newer one.")
    for step in STEPS[number:]:
        step(connection)
    connection.execute(SCHEMA.update().values(number=len(STEPS)))


@contextmanager
def _alone(engine: sql.Engine) -> Iterator[sql.Connection]:
    """A transaction that no other process is in at the same time."""
    if engine.dialect.name != "sqlite":
        with engine.begin() as connection:
            connection.execute(sql.select(sql.func.pg_advisory_xact_lock(ONE_AT_A_TIME)))
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


def _said(problem: OperationalError) -> str:
    lines = str(problem.orig).strip().splitlines() or [type(problem.orig).__name__]
    return lines[0].rstrip(".")
