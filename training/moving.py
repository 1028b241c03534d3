"""Moving: a registry whose folder was moved, or restored elsewhere, is made to find its files where they are now."""

import sqlite3
from contextlib import closing
from pathlib import Path

from configs.state import read_json, write_json

# MLflow keeps where files are in full, and has no way of its own to say that they have gone elsewhere.
PLACES = (
    ("experiments", "artifact_location"),
    ("runs", "artifact_uri"),
    ("logged_models", "artifact_location"),
    ("model_versions", "storage_location"),
)


def follow_move(database: Path) -> None:
    """Let every place under the folder that the registry was last opened in be one under the folder it is in now."""
    note, here = database.with_name("place.json"), f"{database.parent.as_uri()}/"
    there = read_json(note) if note.exists() else here
    if there != here:
        with closing(sqlite3.connect(database)) as connection, connection:
            for table, column in PLACES:
                moved = f"update {table} set {column} = ? || substr({column}, ?) where substr({column}, 1, ?) = ?"
                connection.execute(moved, (here, len(there) + 1, len(there), there))
    if there != here or not note.exists():
        write_json(note, here)
