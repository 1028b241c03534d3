"""The online signals as arrays: every view of some accounts in one read of the packed store, without Feast or pandas.

`packed.py` writes the rows on Feast's interface; the note of what was published says which names stand where in them.
"""

import json
import math
import os
import sqlite3
import threading
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from configs.errors import NotReady
from configs.files import read_json
from configs.state_dir import StateDir

if TYPE_CHECKING:
    import pandas as pd

BUSY_SECONDS = 2
LAST = np.iinfo("int64").max


@dataclass(frozen=True)
class Layout:
    """Which names stand where in a packed row of one view; another set of names is another table."""

    view: str
    numbers: tuple[str, ...]
    categories: tuple[str, ...]

    @property
    def table(self) -> str:
        names = sha256(repr((self.numbers, self.categories)).encode()).hexdigest()[:8]
        return f"{self.view}_{names}"


@dataclass(frozen=True, eq=False)
class Columns:
    """Where each signal stands among the numbers, and among the categories, of some values."""

    numbers: Mapping[str, int]
    categories: Mapping[str, int]

    @cached_property
    def names(self) -> frozenset[str]:
        return frozenset(self.numbers) | frozenset(self.categories)


@dataclass(frozen=True, eq=False)
class Values:
    """The signals of some accounts: `numbers` (accounts, numbers), NaN for missing; `words` a list per account."""

    columns: Columns
    numbers: np.ndarray
    words: Sequence[Sequence[str | None]]

    def __len__(self) -> int:
        return len(self.numbers)

    def value(self, name: str, row: int) -> float | str | None:
        """One value, None where it is missing; raises KeyError for a signal that is not there."""
        if name in self.columns.categories:
            return self.words[row][self.columns.categories[name]]
        number = float(self.numbers[row, self.columns.numbers[name]])
        return None if math.isnan(number) else number

    def take(self, rows: Sequence[int]) -> "Values":
        """The values of these rows."""
        return Values(self.columns, self.numbers[rows], [self.words[row] for row in rows])


@dataclass(frozen=True)
class OnlineValues:
    """What the store knows of some accounts, in the order asked.

    `stamps`, shape (accounts, views), is when each view's row is of, NaT where there is none; `as_of` the oldest.
    """

    values: Values
    stamps: np.ndarray
    as_of: np.ndarray
    published: datetime


def values_of(frame: "pd.DataFrame", categories: Collection[str]) -> Values:
    """The values of a table with a column per signal; `categories` are those that are words."""
    import pandas as pd

    words = [name for name in frame if name in categories]
    numbers = [name for name in frame if name not in categories]
    found = [[None if pd.isna(one) else str(one) for one in row] for row in frame[words].to_numpy().tolist()]
    columns = Columns({str(n): i for i, n in enumerate(numbers)}, {str(n): i for i, n in enumerate(words)})
    return Values(columns, frame[numbers].apply(pd.to_numeric).to_numpy(dtype="float64", na_value=np.nan), found)


class OnlineReader:
    """Reads the published signals of one state folder; safe to use from many threads."""

    def __init__(self, state: StateDir) -> None:
        self.state = state
        self._published: tuple[int, _Published] | None = None
        self._connections = threading.local()

    def published(self) -> "_Published":
        """What was published last; raises NotReady where nothing was."""
        try:
            written = self.state.publication.stat().st_mtime_ns
        except FileNotFoundError:
            raise NotReady("Nothing has been published yet.", "Run `oarlock publish`.") from None
        there = self._published
        if there is None or there[0] != written:
            self._published = there = (written, _read_note(self.state.publication))
        return there[1]

    def read(self, account_ids: Sequence[str]) -> OnlineValues:
        """The latest published signals of these accounts, in the order asked, as they were at one instant.

        Raises NotReady where nothing was published, OSError or sqlite3.Error where the store cannot be read.
        """
        there, asked = self.published(), (json.dumps(list(account_ids)),)
        try:
            rows = self._connection().execute(there.query, asked).fetchall()
        except sqlite3.OperationalError:
            before, there = there, self.published()
            if there is before:
                raise
            rows = self._connection().execute(there.query, asked).fetchall()  # published anew in between
        stamps = np.array([[at or 0 for at in row[0::3]] for row in rows], dtype="int64")
        stamps = stamps.reshape(len(rows), len(there.layouts))
        values = Values(there.columns, _numbers(rows, there), [_words(row[2::3], there) for row in rows])
        oldest = np.where(stamps > 0, stamps, LAST).min(axis=1, initial=LAST)
        return OnlineValues(values, _instants(stamps), _instants(np.where(oldest < LAST, oldest, 0)), there.as_of)

    def _connection(self) -> sqlite3.Connection:
        """This thread's connection: it must not cross a fork, nor outlive a file that was replaced."""
        file = self.state.feast / "packed.db"
        found = (os.getpid(), file.stat().st_ino)
        mine = getattr(self._connections, "mine", None)
        if mine is None or mine[0] != found:
            connection = sqlite3.connect(f"{file.resolve().as_uri()}?mode=rw", uri=True, timeout=BUSY_SECONDS)
            connection.execute("pragma query_only=on")
            mine = self._connections.mine = (found, connection)
        return mine[1]


@dataclass(frozen=True)
class _Published:
    """The note of a publish, with the query that reads all its views at once."""

    as_of: datetime
    note: Mapping[str, Any]
    layouts: tuple[Layout, ...]
    columns: Columns
    query: str
    gaps: tuple[bytes, ...]  # the packed numbers of an account that is not in a view


def _read_note(file: Path) -> _Published:
    note = read_json(file)
    if "views" not in note:
        raise NotReady("The signals were published by an earlier version of Oarlock.", "Run `oarlock publish`.")
    layouts = tuple(Layout(one["view"], tuple(one["numbers"]), tuple(one["categories"])) for one in note["views"])
    numbers = [name for one in layouts for name in one.numbers]
    categories = [name for one in layouts for name in one.categories]
    columns = Columns({n: i for i, n in enumerate(numbers)}, {n: i for i, n in enumerate(categories)})
    wanted = ", ".join(f"v{i}.as_of, v{i}.numbers, v{i}.categories" for i in range(len(layouts)))
    joins = " ".join(f'left join "{one.table}" v{i} on v{i}.account_id = asked.value' for i, one in enumerate(layouts))
    query = f"select {wanted} from json_each(?) asked {joins} order by asked.key"
    gaps = tuple(np.full(len(one.numbers), np.nan).tobytes() for one in layouts)
    return _Published(datetime.fromisoformat(note["as_of"]), note, layouts, columns, query, gaps)


def _instants(seconds: np.ndarray) -> np.ndarray:
    return np.where(seconds > 0, seconds.astype("datetime64[s]"), np.datetime64("NaT"))


def _numbers(rows: Sequence[Sequence[Any]], there: _Published) -> np.ndarray:
    """The packed numbers of every view, side by side."""
    joined = b"".join([blob or gap for row in rows for blob, gap in zip(row[1::3], there.gaps, strict=True)])
    return np.frombuffer(joined, dtype="float64").reshape(len(rows), len(there.columns.numbers))


def _words(texts: Sequence[str | None], there: _Published) -> list[str | None]:
    words: list[str | None] = []
    for text, one in zip(texts, there.layouts, strict=True):
        words += json.loads(text) if text else [None] * len(one.categories)
    return words
