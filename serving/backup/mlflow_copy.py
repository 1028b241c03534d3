"""Copies MLflow between its server and a backup, which holds it as a state folder does: `mlflow.db` and `artifacts`.

Rows are copied before files: training adds files before it registers what they are of, so whatever is registered has
its files. The database is copied as a whole; of the files, those of one configuration.
"""

from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

import sqlalchemy as sql
from sqlalchemy.exc import ArgumentError, NoSuchModuleError, OperationalError

from configs.errors import ConfigError, NotReady
from configs.files import sqlite_url
from configs.servers.faults import first_line
from configs.servers.postgres import watch_postgres
from serving.backup.ledger_copy import advance_sequences, copy_tables, read_at_one_instant
from training.registry.mlflow_registry import DATABASE, Registry, create_database
from training.registry.relocation import ARTIFACTS, read_artifact_location, replace_location

REVISION_TABLE = "alembic_version"
DEFAULT_EXPERIMENT = 0  # MLflow makes it with its tables
Tables = list[sql.Table]


def copy_mlflow(registry: Registry, database: str, folder: Path) -> None:
    """Write what a server of MLflow holds to a new folder; raises NotReady if the database is of another MLflow."""
    _ = registry.client  # it has to answer, and makes the tables of a database without a server
    folder.mkdir(parents=True)
    create_database(folder / DATABASE)
    with _read(database) as source, _write(sqlite_url(folder / DATABASE)) as target:
        _replace_rows(source, target)
        location = read_artifact_location(target, registry.name)
    if location is not None and not registry.keeps_files_in_folder:
        registry.download_files(location, folder / ARTIFACTS)


def fill_mlflow(folder: Path, registry: Registry, database: str) -> None:
    """Give a server of MLflow what a folder holds: all of its rows, or none if its files could not be stored.

    Raises NotReady if the server's database has runs or models, or is of another MLflow.
    """
    _ = registry.client
    with _read(sqlite_url(folder / DATABASE)) as source, _write(database) as target:
        tables = _tables(target)
        _require_empty(target, tables)
        root = _server_root(target)
        _replace_rows(source, target)
        advance_sequences(target, tables)
        old = read_artifact_location(target, registry.name)
        if old is not None:
            new = registry.artifact_location or f"{root}{_experiment_id(target, registry.name)}"
            replace_location(target, old, new)
            if not registry.keeps_files_in_folder:
                registry.upload_files(folder / ARTIFACTS, new)


@contextmanager
def _read(url: str) -> Generator[sql.Connection, None, None]:
    with _open(url) as engine, read_at_one_instant(engine) as connection:
        yield connection


@contextmanager
def _write(url: str) -> Generator[sql.Connection, None, None]:
    """A connection to a database; everything that is written over it is stored at the end, or nothing."""
    with _open(url) as engine, engine.begin() as connection:
        yield connection


@contextmanager
def _open(url: str) -> Generator[sql.Engine, None, None]:
    """An engine that reached its database; raises ConfigError for an invalid URL, NotReady if it cannot be reached."""
    watch_postgres()
    try:
        engine = sql.create_engine(url)
        engine.connect().close()
    except (ArgumentError, ImportError, NoSuchModuleError) as error:
        # The message must not repeat the URL: it may hold a password.
        message = f"stores.mlflow_database is not a usable database URL: {type(error).__name__}."
        raise ConfigError(message, 'Write "postgresql://user@host/database".') from None
    except OperationalError as error:
        message = f"MLflow's database cannot be used: {first_line(error.orig or error)}."
        raise NotReady(message, "Start it, or check stores.mlflow_database.") from None
    try:
        yield engine
    finally:
        engine.dispose()


def _tables(connection: sql.Connection) -> Tables:
    """The tables of a database in an order in which rows can be added, without the table of its revision."""
    metadata = sql.MetaData()
    metadata.reflect(connection)
    return [table for table in metadata.sorted_tables if table.name != REVISION_TABLE]


def _replace_rows(source: sql.Connection, target: sql.Connection) -> None:
    """Replace the rows of every table by those of another database of the same revision."""
    _require_same_revision(source, target)
    read, written = {table.name: table for table in _tables(source)}, _tables(target)
    for table in reversed(written):
        target.execute(table.delete())
    for table in written:
        copy_tables(source, target, [(read[table.name], table)])


def _require_same_revision(source: sql.Connection, target: sql.Connection) -> None:
    revisions = [_revision(connection) for connection in (source, target)]
    if revisions[0] != revisions[1]:
        message = f"MLflow's database has the revision {revisions[0]}, and the copy would have {revisions[1]}."
        hint = (
            "Use the same version of MLflow here and on its server: `mlflow db upgrade` brings a database up to date."
        )
        raise NotReady(message, hint)


def _revision(connection: sql.Connection) -> str | None:
    if not sql.inspect(connection).has_table(REVISION_TABLE):
        hint = "Start the MLflow server once, which makes its tables, or check stores.mlflow_database."
        raise ConfigError("The database in stores.mlflow_database is not one of MLflow.", hint)
    return connection.execute(sql.text(f"select version_num from {REVISION_TABLE}")).scalar()


def _require_empty(connection: sql.Connection, tables: Tables) -> None:
    used = {"runs", "registered_models", "logged_models"}
    for table in tables:
        if table.name in used and connection.execute(sql.select(table).limit(1)).first() is not None:
            message = f"MLflow's database is not empty: its table {table.name} has rows."
            raise NotReady(message, "Restore into an MLflow server with an empty database.")


def _server_root(connection: sql.Connection) -> str:
    """Where a server keeps the files of its experiments, each below its id."""
    statement = sql.text("select artifact_location from experiments where experiment_id = :id")
    location = connection.execute(statement, {"id": DEFAULT_EXPERIMENT}).scalar_one()
    return location.removesuffix(str(DEFAULT_EXPERIMENT))


def _experiment_id(connection: sql.Connection, name: str) -> int:
    statement = sql.text("select experiment_id from experiments where name = :name")
    return connection.execute(statement, {"name": name}).scalar_one()
