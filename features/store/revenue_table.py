"""The revenue table: what each account paid a month, at the start of every month, as it was known on the published day.

It holds every account that ever paid, also those that left, and is written with each day. It is a SQLite file that is
read without a data frame and replaced atomically. Amounts are in hundredths, so that sums are exact.
"""

import json
import sqlite3
from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path

import numpy as np

from configs.errors import NotReady
from configs.files import atomic_write
from configs.stored_files import damaged_if

MISSING = "Run `oarlock publish`. Without a table `subscriptions` in the data set there is no revenue to publish."
REBUILD = "Run `oarlock publish`: it writes the file anew."
INSTANT = "datetime64[s]"
UNKNOWN = -1
INSTANT_COLUMNS = ("first_started", "notified_at", "effective_at", "first_value_at", "value_term_ends_at")
COLUMNS = ("account_id", *INSTANT_COLUMNS, "reason", "voluntary", "attributes", "cents", "due_cents", "term_ends")
ACCOUNT_ARRAYS = ("account_ids", *INSTANT_COLUMNS, "reasons", "voluntary", "cents", "due_cents", "term_ends")


@dataclass(frozen=True)
class RevenueHistory:
    """The recurring revenue of accounts at some instants, and their last notice, as known at `as_of`.

    `cents` has the shape (accounts, instants); the last instant is `as_of`. `notified_at` and `effective_at` are NaT
    and `reasons` None without a notice; `voluntary` is 1, 0 or UNKNOWN. `attributes` are the columns of the accounts
    that the data set has, such as segment. Without `has_notices` nothing is known of why accounts left.

    `term_ends` and `due_cents` have the shape (accounts, origins): when the term that ran at each origin ends, NaT
    without one, and what the account paid then, both as they were known at the origin; the last origin is `as_of`.
    `first_value_at` is when the milestone was reached, `value_term_ends_at` the end of the term that ran then; NaT
    if not. Without `has_milestones` neither is known of anybody. `currency` is that of all amounts, None if undeclared.
    """

    as_of: datetime
    instants: tuple[datetime, ...]
    account_ids: np.ndarray
    cents: np.ndarray
    first_started: np.ndarray
    notified_at: np.ndarray
    effective_at: np.ndarray
    reasons: np.ndarray
    voluntary: np.ndarray
    attributes: Mapping[str, np.ndarray]
    has_notices: bool
    origins: tuple[datetime, ...]
    term_ends: np.ndarray
    due_cents: np.ndarray
    first_value_at: np.ndarray
    value_term_ends_at: np.ndarray
    has_milestones: bool
    currency: str | None = None

    def matching(self, attribute: str, value: str) -> np.ndarray:
        """Whether each account has this value; none has it if the data set lacks the column."""
        values = self.attributes.get(attribute)
        return np.zeros(len(self.cents), dtype=bool) if values is None else values == value

    def take(self, rows: np.ndarray) -> "RevenueHistory":
        """The history of these accounts, by a mask or by rows."""
        taken = {name: getattr(self, name)[rows] for name in ACCOUNT_ARRAYS}
        return replace(self, **taken, attributes={name: values[rows] for name, values in self.attributes.items()})


def write_revenue_table(file: Path, history: RevenueHistory) -> None:
    """Write the history atomically."""
    header = {
        "as_of": history.as_of.isoformat(),
        "instants": [instant.isoformat() for instant in history.instants],
        "attributes": list(history.attributes),
        "has_notices": history.has_notices,
        "origins": [origin.isoformat() for origin in history.origins],
        "has_milestones": history.has_milestones,
        "currency": history.currency,
    }
    attributes = [list(row) for row in zip(*history.attributes.values(), strict=True)] or [[]] * len(history.cents)
    seconds = [_to_seconds(getattr(history, name)) for name in INSTANT_COLUMNS]
    packed = [map(_pack, getattr(history, name).astype("<i8")) for name in ("cents", "due_cents")]
    ends = map(_pack, history.term_ends.astype(INSTANT).astype("<i8"))
    columns = (history.account_ids, *seconds, history.reasons, history.voluntary.tolist())
    rows = zip(*columns, map(json.dumps, attributes), *packed, ends, strict=True)
    with atomic_write(file) as temporary:
        temporary.unlink(missing_ok=True)  # left by a publish that was killed
        with closing(sqlite3.connect(temporary)) as connection, connection:
            connection.execute("create table published (header text not null)")
            connection.execute("insert into published values (?)", (json.dumps(header),))
            connection.execute(f"create table revenue ({', '.join(COLUMNS)})")
            connection.executemany(f"insert into revenue values ({', '.join('?' * len(COLUMNS))})", rows)


def read_revenue_table(file: Path) -> RevenueHistory:
    """The history of the last published day; raises NotReady if none was published, DamagedState if it is damaged."""
    if not file.exists():
        raise NotReady("The revenue of the accounts has not been published.", MISSING)
    uri = f"{file.resolve().as_uri()}?mode=ro"
    with damaged_if((sqlite3.Error, KeyError, ValueError), file, REBUILD):
        with closing(sqlite3.connect(uri, uri=True)) as connection:
            header = json.loads(connection.execute("select header from published").fetchone()[0])
            rows = connection.execute(f"select {', '.join(COLUMNS)} from revenue order by rowid").fetchall()
        columns = list(zip(*rows, strict=True)) or [()] * len(COLUMNS)
        ids, *instants_of_accounts, reasons, voluntary, attributes, amounts, due, ends = columns
        values = list(zip(*map(json.loads, attributes), strict=True)) or [()] * len(header["attributes"])
        instants, origins = (tuple(map(datetime.fromisoformat, header[name])) for name in ("instants", "origins"))
        return RevenueHistory(
            as_of=datetime.fromisoformat(header["as_of"]),
            instants=instants,
            account_ids=np.array(ids, dtype=object),
            cents=_unpack(amounts, len(instants)),
            **{
                name: _from_seconds(seconds)
                for name, seconds in zip(INSTANT_COLUMNS, instants_of_accounts, strict=True)
            },
            reasons=np.array(reasons, dtype=object),
            voluntary=np.array(voluntary, dtype=np.int8),
            attributes=dict(zip(header["attributes"], (np.array(texts, object) for texts in values), strict=True)),
            has_notices=header["has_notices"],
            origins=origins,
            due_cents=_unpack(due, len(origins)),
            term_ends=_unpack(ends, len(origins)).astype(INSTANT),
            has_milestones=header["has_milestones"],
            currency=header.get("currency"),
        )


def _pack(row: np.ndarray) -> bytes:
    return row.tobytes()


def _unpack(rows: tuple[bytes, ...], columns: int) -> np.ndarray:
    return np.frombuffer(b"".join(rows), "<i8").reshape(len(rows), columns)


def _to_seconds(instants: np.ndarray) -> list[int | None]:
    numbers = instants.astype(INSTANT).astype("int64").tolist()
    return [None if is_missing else number for number, is_missing in zip(numbers, np.isnat(instants), strict=True)]


def _from_seconds(seconds: tuple[int | None, ...]) -> np.ndarray:
    missing = np.datetime64("NaT")
    return np.array([missing if number is None else np.datetime64(number, "s") for number in seconds], INSTANT)
