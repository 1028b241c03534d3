"""Copies the tables of a ledger between databases: from Postgres into a backup's SQLite file, and back into either."""

import sqlite3
from collections.abc import Generator, Iterable, Mapping
from contextlib import closing, contextmanager
from pathlib import Path

import sqlalchemy as sql

from configs.errors import NotReady
from configs.files import sqlite_url
from serving.ledger.database import open_database, without_nul
from serving.ledger.schema import METADATA, WAL_CHECKPOINTS

ROWS_PER_STATEMENT = 5_000
BUSY_SECONDS = 30.0
TablePair = tuple[sql.Table, sql.Table]
OWN_TABLES: list[TablePair] = [(table, table) for table in METADATA.sorted_tables]


def copy_sqlite(source: Path, target: Path) -> None:
    """Copy a SQLite file as of one instant, while others write to it; the file itself stays as it is."""
    target.parent.mkdir(parents=True, exist_ok=True)
    connection = sqlite3.connect(f"{source.resolve().as_uri()}?mode=ro", uri=True, timeout=BUSY_SECONDS)
    with closing(connection) as from_database, closing(sqlite3.connect(target)) as to_database:
        from_database.backup(to_database)


def copy_ledger(engine: sql.Engine, target: Path) -> None:
    """Copy the database of a ledger into a new SQLite file, as of one instant."""
    if engine.dialect.name == "sqlite":
        copy_sqlite(Path(engine.url.database or ""), target)
        return
    copy = open_database(target)
    with read_at_one_instant(engine) as source, copy.begin() as connection:
        copy_tables(source, connection, OWN_TABLES)
    copy.dispose()


@contextmanager
def read_at_one_instant(engine: sql.Engine) -> Generator[sql.Connection, None, None]:
    """A connection that reads a database as of one instant, however long that takes, and changes nothing."""
    options: dict[str, object] = {"stream_results": True}
    if engine.dialect.name == "postgresql":
        options |= {"isolation_level": "REPEATABLE READ", "postgresql_readonly": True}
    with engine.connect() as connection:
        yield connection.execution_options(**options)


def fill_database(source: Path, engine: sql.Engine) -> None:
    """Copy every row of a ledger's SQLite file into an empty database, all of them or none.

    Raises NotReady if the database has rows.
    """
    copy = open_database(source)  # brings a backup of an earlier release up to date
    with copy.connect() as from_database, engine.begin() as connection:
        require_empty(connection)
        copy_tables(from_database, connection, OWN_TABLES)
        advance_sequences(connection, METADATA.sorted_tables)
    copy.dispose()


def require_empty(connection: sql.Connection) -> None:
    """Raise NotReady if a table of a ledger's database has rows."""
    filled = [name for name, rows in count_rows(connection).items() if rows]
    if filled:
        message = f"The database in ledger.url is not empty: its table {filled[0]} has rows."
        raise NotReady(message, "Restore into an empty database.")


def count_rows(connection: sql.Connection) -> Mapping[str, int]:
    """How many rows each table has."""
    return {
        table.name: connection.execute(sql.select(sql.func.count()).select_from(table)).scalar_one()
        for table in METADATA.sorted_tables
    }


def copy_tables(source: sql.Connection, target: sql.Connection, tables: Iterable[TablePair]) -> None:
    """Copy every row of tables, each given as the other database has it and as this one does."""
    for read, written in tables:
        rows = source.execution_options(yield_per=ROWS_PER_STATEMENT).execute(sql.select(read)).mappings()
        for part in rows.partitions():
            target.execute(written.insert(), [{name: without_nul(row[name]) for name in row} for row in part])


def stored_bytes(ledger: Path) -> Mapping[str, int]:
    """How many bytes of each segment of the write-ahead log a ledger's SQLite file holds."""
    copy = sql.create_engine(sqlite_url(ledger))
    with copy.connect() as connection:
        rows = connection.execute(sql.select(WAL_CHECKPOINTS.c.segment, WAL_CHECKPOINTS.c.stored_bytes)).all()
    copy.dispose()
    return dict(map(tuple, rows))


def advance_sequences(connection: sql.Connection, tables: Iterable[sql.Table]) -> None:
    """Let Postgres count ids from the highest one on: it does not look at ids that are given to it."""
    if connection.dialect.name != "postgresql":
        return
    for table, column in _counted(tables):
        highest = connection.execute(sql.select(sql.func.max(column))).scalar()
        if highest is not None:
            sequence = sql.func.pg_get_serial_sequence(table.name, column.name)
            connection.execute(sql.select(sql.func.setval(sequence, highest)))


def _counted(tables: Iterable[sql.Table]) -> list[tuple[sql.Table, sql.Column[int]]]:
    return [(table, column) for table in tables if (column := table.autoincrement_column) is not None]
