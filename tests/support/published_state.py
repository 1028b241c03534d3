"""What a state folder serves, and what a command that ended should have removed from it."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

from configs.files import LOCK


def read_published(state: Path) -> dict[str, object]:
    """What is online: the published day, the champion, and the rows of the tables that are served."""
    files = (state / "published.json", state / "champion.json")
    tables = ("accounts.db", "revenue.db", "feast/packed.db")
    return {
        **{file.name: file.read_bytes() for file in files if file.exists()},
        **{name: list(_dump(state / name)) for name in tables if (state / name).exists()},
    }


def find_leftovers(state: Path) -> list[str]:
    """Files that a command that has ended should have removed."""
    spilled = [file for file in (state / "spill").glob("*/*") if file.name != LOCK]
    unfinished = [file for file in state.rglob("*") if file.name.startswith(".") or file.name.endswith(".tmp")]
    return sorted(str(file.relative_to(state)) for file in [*spilled, *unfinished])


def _dump(file: Path) -> Iterator[str]:
    with closing(sqlite3.connect(f"file:{file}?mode=ro", uri=True)) as connection:
        yield from connection.iterdump()
