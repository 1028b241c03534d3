"""The account table: what people want to know of an account besides its risk, published with each day.

Its owner, renewal, lifecycle stage and last touch. The table is a SQLite file that is read without a data frame and
replaced atomically: an open reader goes on reading the previous day.
"""

import sqlite3
from collections.abc import Iterable, Sequence
from contextlib import AbstractContextManager, closing
from copy import copy
from dataclasses import astuple, dataclass, fields
from datetime import datetime
from pathlib import Path
from typing import Any, Literal

from configs.errors import NotReady
from configs.files import atomic_write
from configs.stored_files import damaged_if
from features.store.sqlite_reader import SqliteReader

Stage = Literal["onboarding", "established", "renewing"]
REBUILD = "Run `oarlock publish`: it writes the file anew."
BUSY_TIMEOUT_SECONDS = 5
IDS_PER_QUERY = 900  # old builds of SQLite bind at most 999 values


@dataclass(frozen=True)
class AccountDetails:
    """The details of one account at risk; an instant that is unknown is None.

    `renews_at` is the end of the next paid term. `held_out` says that the last play was held out on purpose, to measure
    its effect.
    """

    account_id: str
    name: str | None = None
    owner: str | None = None
    segment: str | None = None
    parent_id: str | None = None
    stage: Stage = "established"
    mrr: float | None = None
    renews_at: datetime | None = None
    touched_at: datetime | None = None
    play: str | None = None
    play_at: datetime | None = None
    held_out: bool = False


COLUMNS = tuple(field.name for field in fields(AccountDetails))
# A parent of another owner is not named.
OWNED_COLUMNS = [
    "case when parent_id in (select account_id from accounts where owner = ?) then parent_id end as parent_id"
    if name == "parent_id"
    else name
    for name in COLUMNS
]
OWNED_ROWS = f"(select row, {', '.join(OWNED_COLUMNS)} from accounts where owner = ?)"
INSTANTS = frozenset({"renews_at", "touched_at", "play_at"})


def write_account_table(file: Path, as_of: datetime, accounts: Iterable[AccountDetails]) -> None:
    """Write the details of a day atomically, in this order."""
    marks = ", ".join("?" * (len(COLUMNS) + 1))
    with atomic_write(file) as temporary:
        temporary.unlink(missing_ok=True)  # left by a publish that was killed
        with closing(sqlite3.connect(temporary)) as connection, connection:
            connection.execute("create table published (as_of text not null)")
            connection.execute("insert into published values (?)", (as_of.isoformat(),))
            connection.execute(f"create table accounts (row integer primary key, {', '.join(COLUMNS)})")
            rows = ((row, *_to_row(details)) for row, details in enumerate(accounts))
            connection.executemany(f"insert into accounts values ({marks})", rows)
            connection.execute("create unique index accounts_by_id on accounts (account_id)")
            connection.execute("create index accounts_by_owner on accounts (owner)")


class AccountTable:
    """The account table of the last published day; one per reader, closed after use."""

    def __init__(self, file: Path) -> None:
        """Raises NotReady if none was published, DamagedState if it cannot be read; so does every method."""
        if not file.exists():
            raise NotReady("The account table has not been published.", "Run `oarlock publish`.")
        self._file, self._rows = file, "accounts"
        self._parameters: tuple[str, ...] = ()
        with self._reading():
            self._reader = SqliteReader(file, "ro", BUSY_TIMEOUT_SECONDS)
            published = self._reader.connection.execute("select as_of from published").fetchone()
            self.as_of = datetime.fromisoformat(published[0])

    def owned_by(self, owner: str) -> "AccountTable":
        """The rows of an owner as a table of its own; it shares the connection of this one."""
        table = copy(self)
        table._rows, table._parameters = OWNED_ROWS, (owner, owner)
        return table

    def close(self) -> None:
        self._reader.connection.close()

    def details_by_id(self, account_ids: Sequence[str]) -> dict[str, AccountDetails]:
        """The details of these accounts by id; accounts that are not at risk are left out."""
        rows: list[tuple[Any, ...]] = []
        for start in range(0, len(account_ids), IDS_PER_QUERY):
            chunk = account_ids[start : start + IDS_PER_QUERY]
            marks = ",".join("?" * len(chunk))
            query = f"select {', '.join(COLUMNS)} from {self._rows} where account_id in ({marks})"
            with self._reading():
                rows += self._reader.connection.execute(query, (*self._parameters, *chunk))
        with self._reading():
            return {details.account_id: details for details in map(_from_row, rows)}

    def columns(self, *names: str) -> dict[str, list[Any]]:
        """Whole columns as stored, in the order of rows."""
        assert set(names) <= set(COLUMNS)
        query = f"select {', '.join(names)} from {self._rows} order by row"
        with self._reading():
            rows = self._reader.connection.execute(query, self._parameters).fetchall()
        return {name: [row[index] for row in rows] for index, name in enumerate(names)}

    def _reading(self) -> AbstractContextManager[None]:
        return damaged_if((sqlite3.Error, TypeError, ValueError), self._file, REBUILD)


def _to_row(details: AccountDetails) -> tuple[str | float | bool | None, ...]:
    return tuple(value.isoformat() if isinstance(value, datetime) else value for value in astuple(details))


def _from_row(row: tuple[Any, ...]) -> AccountDetails:
    values = dict(zip(COLUMNS, row, strict=True))
    for name in INSTANTS:
        values[name] = datetime.fromisoformat(values[name]) if values[name] else None
    return AccountDetails(**{**values, "held_out": bool(values["held_out"])})
