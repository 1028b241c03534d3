"""Moving: a registry whose folder was moved, or restored elsewhere, is made to find its files where they are now."""

import sqlite3
from contextlib import closing
from pathlib import Path

ARTIFACTS = "artifacts"
# MLflow keeps where files are in full, and has no way of its own to say that they have gone elsewhere.
PLACES = (
    ("experiments", "artifact_location"),
    ("runs", "artifact_uri"),
    ("logged_models", "artifact_location"),
    ("model_versions", "storage_location"),
)


def follow_move(database: Path, experiment: str) -> None:
    """Let every place under the folder that the registry was made in be one under the folder it is in now."""
    here = (database.parent / ARTIFACTS).as_uri()
    there = _artifacts_of(database, experiment) if database.exists() else None
    if there in (None, here):
        return
    with closing(sqlite3.connect(database)) as connection, connection:
        for table, column in PLACES:
            under = f"substr({column} || '/', 1, ?) = ?"
            moved = f"update {table} set {column} = ? || substr({column}, ?) where {under}"
            connection.execute(moved, (here, len(there) + 1, len(there) + 1, f"{there}/"))


def _artifacts_of(database: Path, experiment: str) -> str | None:
    """Where the experiment's files were when it was made or last moved; None where there is no experiment yet."""
    with closing(sqlite3.connect(database)) as connection:
        if not connection.execute("select 1 from sqlite_master where name = 'experiments'").fetchone():
            return None
        found = connection.execute("select artifact_location from experiments where name = ?", (experiment,)).fetchone()
    return found and found[0]
