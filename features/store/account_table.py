"""Account facts: what people ask of an account beside its risk, as a small table that is published with the day.

Who looks after it, when it renews, where it stands in its life, when it was last touched. It is SQLite, read row by row
without a data frame, and replaced as a whole: who has it open goes on reading the day before.
"""

import sqlite3
from collections.abc import Iterable, Sequence
from contextlib import closing
from dataclasses import astuple, dataclass, fields
from datetime import datetime
from pathlib import Path
from typing import Any, Literal

from configs.errors import NotReady
from configs.files import atomic_write

Stage = Literal["onboarding", "established", "renewing"]
IDS_A_QUERY = 900  # SQLite binds at most 999 values in old builds


@dataclass(frozen=True)
class AccountFacts:
    """What is known of one account at risk; an instant that never was, or is not known, is None.

    `renews_at` is the end of the paid term that ends next. `held_out` says that the last play was not begun on purpose,
    to learn what it does.
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


COLUMNS = tuple(field.name for field in fields(AccountFacts))
INSTANTS = frozenset({"renews_at", "touched_at", "play_at"})


def write_facts(file: Path, as_of: datetime, accounts: Iterable[AccountFacts]) -> None:
    """Write the facts of a day in the order given, all of them or none."""
    marks = ", ".join("?" * (len(COLUMNS) + 1))
    with atomic_write(file) as temporary:
        temporary.unlink(missing_ok=True)  # what a publish that was killed has left behind
        with closing(sqlite3.connect(temporary)) as connection, connection:
            connection.execute("create table published (as_of text not null)")
            connection.execute("insert into published values (?)", (as_of.isoformat(),))
            connection.execute(f"create table accounts (place integer primary key, {', '.join(COLUMNS)})")
            rows = ((place, *_stored(one)) for place, one in enumerate(accounts))
            connection.executemany(f"insert into accounts values ({marks})", rows)
            connection.execute("create unique index accounts_by_id on accounts (account_id)")


class FactsTable:
    """The facts of the newest published day; one per reader, closed when it is done with."""

    def __init__(self, file: Path) -> None:
        """Raises NotReady where none were published."""
        if not file.exists():
            raise NotReady("The facts of accounts have not been published.", "Run `oarlock publish`.")
        self._connection = sqlite3.connect(f"file:{file}?mode=ro", uri=True, check_same_thread=False)
        self.as_of = datetime.fromisoformat(self._connection.execute("select as_of from published").fetchone()[0])

    def close(self) -> None:
        self._connection.close()

    def of(self, account_ids: Sequence[str]) -> dict[str, AccountFacts]:
        """The facts of these accounts by id; an account that is not at risk is left out."""
        found = self._in(account_ids, "account_id")
        return {one.account_id: one for _, one in found}

    def at(self, places: Sequence[int]) -> dict[int, AccountFacts]:
        """The facts at these places by place."""
        return dict(self._in(places, "place"))

    def columns(self, *names: str) -> dict[str, list[Any]]:
        """Whole columns as they are stored, in the order of places."""
        assert set(names) <= set(COLUMNS)
        rows = self._connection.execute(f"select {', '.join(names)} from accounts order by place").fetchall()
        return {name: [row[i] for row in rows] for i, name in enumerate(names)}

    def _in(self, wanted: Sequence[Any], column: str) -> list[tuple[int, AccountFacts]]:
        found: list[tuple[int, AccountFacts]] = []
        for start in range(0, len(wanted), IDS_A_QUERY):
            some = list(wanted[start : start + IDS_A_QUERY])
            query = f"select * from accounts where {column} in ({','.join('?' * len(some))})"
            found += [(row[0], _facts(row[1:])) for row in self._connection.execute(query, some)]
        return found


def _stored(one: AccountFacts) -> tuple[Any, ...]:
    return tuple(value.isoformat() if isinstance(value, datetime) else value for value in astuple(one))


def _facts(row: tuple[Any, ...]) -> AccountFacts:
    values = dict(zip(COLUMNS, row, strict=True))
    for name in INSTANTS:
        values[name] = datetime.fromisoformat(values[name]) if values[name] else None
    return AccountFacts(**{**values, "held_out": bool(values["held_out"])})
