"""Reads the online signals as arrays: every view of some accounts in one query, without Feast or pandas.

`packed_online_store.py` writes the rows on Feast's interface. The publication note has the columns of the packed rows.
"""

import json
import math
import os
import sqlite3
import threading
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from configs.errors import NotReady
from configs.state_dir import StateDir
from configs.stored_files import damaged_if
from features.store.publication import Publication, read_publication
from features.store.sqlite_reader import SqliteReader

if TYPE_CHECKING:
    import pandas as pd

BUSY_TIMEOUT_SECONDS = 2
REFILL = "Run `oarlock publish`: it fills the online store anew."
ONLINE_FILE = "packed.db"  # in the folder of the Feast store
MAX_TIMESTAMP = np.iinfo("int64").max
FlatRow = Sequence[Any]  # of one account: as_of in seconds, packed numbers and categories as JSON, view by view


@dataclass(frozen=True)
class Layout:
    """The signals in the packed rows of one view, in order; other signals are another table."""

    view: str
    numbers: tuple[str, ...]
    categories: tuple[str, ...]

    @property
    def table(self) -> str:
        names = sha256(repr((self.numbers, self.categories)).encode()).hexdigest()[:8]
        return f"{self.view}_{names}"


@dataclass(frozen=True, eq=False)
class ColumnIndex:
    """The index of each signal among the numbers, and among the categories, of some values.

    `currency` is that of the amounts among them; None if it is not known.
    """

    numbers: Mapping[str, int]
    categories: Mapping[str, int]
    currency: str | None = None

    @cached_property
    def names(self) -> frozenset[str]:
        return frozenset(self.numbers) | frozenset(self.categories)


@dataclass(frozen=True, eq=False)
class SignalValues:
    """The signals of some accounts: `numbers` (accounts, numbers), NaN if missing; `categories` a list per account."""

    columns: ColumnIndex
    numbers: np.ndarray
    categories: Sequence[Sequence[str | None]]

    def __len__(self) -> int:
        return len(self.numbers)

    def value(self, name: str, row: int) -> float | str | None:
        """One value, None if it is missing; raises KeyError for an unknown signal."""
        if name in self.columns.categories:
            return self.categories[row][self.columns.categories[name]]
        number = float(self.numbers[row, self.columns.numbers[name]])
        return None if math.isnan(number) else number

    def take(self, rows: Sequence[int]) -> "SignalValues":
        """The values of these rows."""
        return SignalValues(self.columns, self.numbers[rows], [self.categories[row] for row in rows])


@dataclass(frozen=True)
class OnlineSignals:
    """The online signals of some accounts, in the requested order, of one publication with these `families`.

    `timestamps`, shape (accounts, views), is the as_of of each view's row, NaT if there is none; `as_of` the oldest.
    """

    families: tuple[str, ...]
    values: SignalValues
    timestamps: np.ndarray
    as_of: np.ndarray
    published: datetime


def values_from_frame(frame: "pd.DataFrame", categories: Collection[str], currency: str | None = None) -> SignalValues:
    """The values of a data frame with a column per signal; `categories` are the columns of categories.

    `currency` is that of the amounts.
    """
    import pandas as pd

    texts = [name for name in frame if name in categories]
    numbers = [name for name in frame if name not in categories]
    values = [[None if pd.isna(value) else str(value) for value in row] for row in frame[texts].to_numpy().tolist()]
    columns = _column_index(map(str, numbers), map(str, texts), currency)
    matrix = frame[numbers].apply(pd.to_numeric).to_numpy(dtype="float64", na_value=np.nan)
    return SignalValues(columns, matrix, values)


class SignalReader(Protocol):
    """Where the published signals are read from; safe to use from many threads."""

    def views(self) -> "OnlineViews":
        """The views that were published last; raises NotReady if nothing was, or if they cannot be read."""
        ...

    def read(self, account_ids: Sequence[str]) -> OnlineSignals:
        """The latest published signals of these accounts, in the requested order, all of one publication.

        Raises NotReady if nothing was published, NotReady or OSError if the store cannot be read.
        """
        ...


class OnlineReader:
    """Reads the published signals of one state folder; safe to use from many threads."""

    def __init__(self, state: StateDir) -> None:
        self.state = state
        self._views: tuple[int, OnlineViews] | None = None
        self._threads = threading.local()

    def views(self) -> "OnlineViews":
        """The views that were published last; raises NotReady if nothing was, DamagedState if they cannot be read."""
        try:
            modified = self.state.publication.stat().st_mtime_ns
        except FileNotFoundError:
            raise NotReady("Nothing has been published yet.", "Run `oarlock publish`.") from None
        cached = self._views
        if cached is None or cached[0] != modified:
            self._views = cached = (modified, describe_views(read_publication(self.state)))
        return cached[1]

    def read(self, account_ids: Sequence[str]) -> OnlineSignals:
        """The latest published signals of these accounts, in the requested order, all of one publication.

        Raises NotReady if nothing was published, DamagedState or OSError if the store cannot be read.
        """
        with damaged_if((sqlite3.Error, ValueError, TypeError), self.state.feast / ONLINE_FILE, REFILL):
            return self._read(account_ids)

    def _read(self, account_ids: Sequence[str]) -> OnlineSignals:
        views, parameters = self.views(), (json.dumps(list(account_ids)),)
        try:
            rows = self._connection().execute(views.query, parameters).fetchall()
        except sqlite3.OperationalError:
            before, views = views, self.views()
            if views is before:
                raise
            rows = self._connection().execute(views.query, parameters).fetchall()  # of a newer publication
        return assemble_signals(views, rows)

    def _connection(self) -> sqlite3.Connection:
        """This thread's connection: it must not cross a fork, nor outlive a file that was replaced."""
        file = self.state.feast / ONLINE_FILE
        key = (os.getpid(), file.stat().st_ino)
        cached = getattr(self._threads, "connection", None)
        if cached is None or cached[0] != key:
            cached = self._threads.connection = (key, SqliteReader(file, "rw", BUSY_TIMEOUT_SECONDS))
        return cached[1].connection


@dataclass(frozen=True)
class OnlineViews:
    """The views of a publication, with the query that reads all of them at once."""

    as_of: datetime
    layouts: tuple[Layout, ...]
    columns: ColumnIndex
    query: str
    gaps: tuple[bytes, ...]  # the packed numbers of an account that is not in a view


def remove_online_store(file: Path) -> None:
    """Remove the store; readers that have it open go on reading it."""
    for suffix in ("", "-wal", "-shm"):
        file.with_name(file.name + suffix).unlink(missing_ok=True)


def assemble_signals(views: OnlineViews, rows: Sequence[FlatRow]) -> OnlineSignals:
    """The signals in rows of the store, one for each account."""
    timestamps = np.array([[at or 0 for at in row[0::3]] for row in rows], dtype="int64")
    timestamps = timestamps.reshape(len(rows), len(views.layouts))
    values = SignalValues(views.columns, _numbers(rows, views), [_categories(row[2::3], views) for row in rows])
    oldest = np.where(timestamps > 0, timestamps, MAX_TIMESTAMP).min(axis=1, initial=MAX_TIMESTAMP)
    as_of = _to_datetimes(np.where(oldest < MAX_TIMESTAMP, oldest, 0))
    families = tuple(layout.view for layout in views.layouts)
    return OnlineSignals(families, values, _to_datetimes(timestamps), as_of, views.as_of)


def describe_views(publication: Publication) -> OnlineViews:
    """The views of a publication, and how to read them."""
    layouts = tuple(
        Layout(view["view"], tuple(view["numbers"]), tuple(view["categories"])) for view in publication["views"]
    )
    numbers = (name for layout in layouts for name in layout.numbers)
    categories = (name for layout in layouts for name in layout.categories)
    columns = _column_index(numbers, categories, publication.get("currency"))
    fields = ", ".join(f"v{i}.as_of, v{i}.numbers, v{i}.categories" for i in range(len(layouts)))
    joins = " ".join(
        f'left join "{layout.table}" v{i} on v{i}.account_id = ids.value' for i, layout in enumerate(layouts)
    )
    query = f"select {fields} from json_each(?) ids {joins} order by ids.key"
    gaps = tuple(np.full(len(layout.numbers), np.nan).tobytes() for layout in layouts)
    return OnlineViews(datetime.fromisoformat(publication["as_of"]), layouts, columns, query, gaps)


def _column_index(numbers: Iterable[str], categories: Iterable[str], currency: str | None) -> ColumnIndex:
    return ColumnIndex({n: i for i, n in enumerate(numbers)}, {n: i for i, n in enumerate(categories)}, currency)


def _to_datetimes(seconds: np.ndarray) -> np.ndarray:
    return np.where(seconds > 0, seconds.astype("datetime64[s]"), np.datetime64("NaT"))


def _numbers(rows: Sequence[Sequence[bytes | None]], views: OnlineViews) -> np.ndarray:
    """The packed numbers of every view, side by side."""
    packed = b"".join([blob or gap for row in rows for blob, gap in zip(row[1::3], views.gaps, strict=True)])
    return np.frombuffer(packed, dtype="float64").reshape(len(rows), len(views.columns.numbers))


def _categories(texts: Sequence[str | None], views: OnlineViews) -> list[str | None]:
    categories: list[str | None] = []
    for text, layout in zip(texts, views.layouts, strict=True):
        categories += json.loads(text) if text else [None] * len(layout.categories)
    return categories
