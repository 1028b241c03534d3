"""Relocation: a registry whose folder was moved or restored elsewhere finds its files again."""

import sqlite3
from contextlib import closing
from pathlib import Path

ARTIFACTS = "artifacts"
# MLflow stores absolute paths of files, and cannot be told that they were moved.
LOCATION_COLUMNS = (
    ("experiments", "artifact_location"),
    ("runs", "artifact_uri"),
    ("logged_models", "artifact_location"),
    ("model_versions", "storage_location"),
)


def relocate_artifacts(database: Path, experiment: str) -> None:
    """Replace the folder that the registry was made in by its present folder, in every path below it."""
    new = (database.parent / ARTIFACTS).as_uri()
    old = _artifact_location(database, experiment) if database.exists() else None
    if old in (None, new):
        return
    with closing(sqlite3.connect(database)) as connection, connection:
        for table, column in LOCATION_COLUMNS:
            is_below = f"substr({column} || '/', 1, ?) = ?"
            statement = f"update {table} set {column} = ? || substr({column}, ?) where {is_below}"
            connection.execute(statement, (new, len(old) + 1, len(old) + 1, f"{old}/"))


def _artifact_location(database: Path, experiment: str) -> str | None:
    """The folder of the experiment's files when it was made or last moved; None if there is no experiment yet."""
    with closing(sqlite3.connect(database)) as connection:
        if not connection.execute("select 1 from sqlite_master where name = 'experiments'").fetchone():
            return None
        row = connection.execute("select artifact_location from experiments where name = ?", (experiment,)).fetchone()
    return row and row[0]
