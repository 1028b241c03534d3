"""The ledger: every risk ever given, with its drivers and the versions it came from. Rows are added, never changed."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cached_property, lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import sqlalchemy as sql
from sqlalchemy.exc import IntegrityError

from configs.settings import Settings
from configs.state_dir import StateDir
from serving.ledger.database import open_database
from serving.ledger.schema import RISKS, WAL_CHECKPOINTS
from serving.schemas.serialization import to_json

if TYPE_CHECKING:
    import pandas as pd

ROWS_PER_STATEMENT = 5_000
CHECKPOINT_RETENTION_DAYS = 30
Row = Mapping[str, Any]
COLUMN_NAMES = tuple(one.name for one in RISKS.columns if not one.primary_key)
# The statement as SQLite takes it: what SQLAlchemy makes of every value and row costs more than the insert.
SQLITE_INSERT = f"insert into {RISKS.name} ({', '.join(COLUMN_NAMES)}) values ({', '.join('?' * len(COLUMN_NAMES))})"


@dataclass(frozen=True)
class Checkpoint:
    """Rows that bring what the database holds of a journal file from byte `start` to byte `done`."""

    segment: str
    start: int
    end: int
    at: datetime


class DuplicateCheckpoint(Exception):
    """Another process wrote the same part of a journal file first."""


@dataclass(frozen=True)
class Ledger:
    """The ledger in the database at `where`: a SQLite file or a URL; `durability` says what a commit outlives."""

    location: Path | str
    durability: str = "process"

    @cached_property
    def engine(self) -> sql.Engine:
        return open_database(self.location, self.durability)

    def append(self, scores: Iterable[Mapping[str, Any]], source: Mapping[str, Any]) -> None:
        """Add the scores of one reply; `of` says which request, when, and which model. All of them or none."""
        self.add(rows_from_scores(scores, source))

    def add(self, rows: Sequence[Row], checkpoint: Checkpoint | None = None) -> None:
        """Add rows, and with them how far their journal file is held; all of it or nothing.

        Raises AlreadyThere where the file is not held up to just the mark's start.
        """
        with self.engine.begin() as connection:
            if checkpoint:
                _move(connection, checkpoint)
            for start in range(0, len(rows), ROWS_PER_STATEMENT):
                self._insert(connection, rows[start : start + ROWS_PER_STATEMENT])

    def stored_bytes(self, name: str) -> int:
        """How many bytes of a journal file are held."""
        with self.engine.connect() as connection:
            return (
                connection.execute(sql.select(WAL_CHECKPOINTS.c.done).where(WAL_CHECKPOINTS.c.name == name)).scalar()
                or 0
            )

    def risks_of_version(self, version: int) -> "pd.DataFrame":
        """The last risk that a version gave each snapshot: account_id, as_of, risk, mrr."""
        import pandas as pd

        chosen = sql.select(RISKS.c.id, RISKS.c.account_id, RISKS.c.as_of, RISKS.c.risk, RISKS.c.mrr)
        with self.engine.connect() as connection:
            found = pd.read_sql(chosen.where(RISKS.c.version == version), connection, parse_dates=["as_of"])
        return found.sort_values("id").drop_duplicates(["account_id", "as_of"], keep="last").drop(columns="id")

    def count(self) -> int:
        """How many risks were ever given."""
        with self.engine.connect() as connection:
            return connection.execute(sql.select(sql.func.count()).select_from(RISKS)).scalar_one()

    def prune(self, before: datetime) -> int:
        """Take away the risks given before an instant; says how many."""
        old = before - timedelta(days=CHECKPOINT_RETENTION_DAYS)
        with self.engine.begin() as connection:
            connection.execute(WAL_CHECKPOINTS.delete().where(WAL_CHECKPOINTS.c.at < old))
            return connection.execute(RISKS.delete().where(RISKS.c.given_at < before)).rowcount

    def _insert(self, connection: sql.Connection, rows: Sequence[Row]) -> None:
        if self.engine.dialect.name == "sqlite":
            connection.exec_driver_sql(SQLITE_INSERT, [_plain(row) for row in rows])
        else:
            _copy(connection, rows)


def open_ledger(settings: Settings, state: StateDir) -> Ledger:
    """The ledger of a configuration: at `ledger.url`, or in its state folder."""
    url = settings.ledger.url
    return Ledger(url.get_secret_value() if url else state.ledger, settings.ledger.durability)


def rows_from_scores(scores: Iterable[Mapping[str, Any]], source: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The ledger's rows for the scores of one reply."""
    return [_row(score, source, to_json(score).decode()) for score in scores]


def _move(connection: sql.Connection, mark: Checkpoint) -> None:
    # The condition makes a part of a file go in once, even where a process that was thought dead wakes up.
    moving = WAL_CHECKPOINTS.update().where(
        WAL_CHECKPOINTS.c.name == mark.segment, WAL_CHECKPOINTS.c.done == mark.start
    )
    if connection.execute(moving.values(done=mark.end, at=mark.at)).rowcount:
        return
    try:
        connection.execute(WAL_CHECKPOINTS.insert().values(name=mark.segment, done=mark.end, at=mark.at))
    except IntegrityError:
        raise DuplicateCheckpoint(mark.segment) from None
    if mark.start:
        raise DuplicateCheckpoint(mark.segment)


def _row(score: Mapping[str, Any], of: Mapping[str, Any], text: str) -> dict[str, Any]:
    copied = {name: score[name] for name in ("account_id", "risk", "base", "band", "status")}
    as_of = datetime.fromisoformat(score["signals_as_of"])
    return {**of, **copied, "as_of": as_of, "mrr": score["revenue"]["mrr"], "served": text}


def _plain(row: Row) -> tuple[Any, ...]:
    return tuple([_stamp(one) if isinstance(one, datetime) else one for one in map(row.get, COLUMN_NAMES)])


@lru_cache(maxsize=64)
def _stamp(at: datetime) -> str:
    """An instant as SQLAlchemy keeps and reads it in SQLite."""
    return at.replace(tzinfo=None).isoformat(" ", "microseconds")


def _copy(connection: sql.Connection, rows: Sequence[Row]) -> None:
    """Postgres takes rows as a stream an order of magnitude faster than as statements."""
    if not rows:
        return
    names = list(rows[0])
    cursor: Any = connection.connection.cursor()
    with cursor.copy(f"copy {RISKS.name} ({', '.join(names)}) from stdin") as stream:
        for row in rows:
            stream.write_row([_storable(row[name]) for name in names])


def _storable(value: Any) -> Any:
    # Postgres has no NUL in a text; an id that holds one is no account's.
    return value.replace("\0", "") if isinstance(value, str) else value
