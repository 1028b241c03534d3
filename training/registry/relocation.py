"""Relocation: a registry whose folder was moved, or restored elsewhere, finds its files again."""

from pathlib import Path

import sqlalchemy as sql

from configs.files import sqlite_url

ARTIFACTS = "artifacts"
# MLflow stores absolute locations of files, and cannot be told that they were moved.
LOCATION_COLUMNS = (
    ("experiments", "artifact_location"),
    ("runs", "artifact_uri"),
    ("logged_models", "artifact_location"),
    ("model_versions", "storage_location"),
)


def relocate_artifacts(database: Path, experiment: str) -> None:
    """Replace the folder that the registry was made in by its present folder, in every path below it."""
    if not database.exists():
        return
    engine = sql.create_engine(sqlite_url(database), poolclass=sql.NullPool)
    with engine.begin() as connection:
        old = read_artifact_location(connection, experiment)
        if old is not None:
            replace_location(connection, old, (database.parent / ARTIFACTS).as_uri())


def replace_location(connection: sql.Connection, old: str, new: str) -> None:
    """Replace a location by another one, wherever MLflow's database names it or what is below it."""
    if old == new:
        return
    for table, column in LOCATION_COLUMNS:
        is_below = f"substr({column} || '/', 1, :length) = :prefix"
        statement = f"update {table} set {column} = :new || substr({column}, :length) where {is_below}"
        connection.execute(sql.text(statement), {"new": new, "length": len(old) + 1, "prefix": f"{old}/"})


def read_artifact_location(connection: sql.Connection, experiment: str) -> str | None:
    """Where an experiment's files were when it was made or last moved; None if there is no experiment yet."""
    if not sql.inspect(connection).has_table("experiments"):
        return None
    statement = sql.text("select artifact_location from experiments where name = :name")
    return connection.execute(statement, {"name": experiment}).scalar()
