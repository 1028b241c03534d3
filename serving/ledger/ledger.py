"""The ledger: every risk that was given, why, with its drivers, its versions and when. Rows are added, never changed.

A risk is served (to a tool, by a batch or an export, when it was new), viewed (a person looked at it) or recomputed (a
past day, computed again with a later model). Past answers, monitoring and webhooks read what was served, nothing else.
The purpose alone may change: what a failed export did not deliver was only viewed.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cached_property, lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypedDict

import sqlalchemy as sql
from sqlalchemy.exc import IntegrityError, OperationalError

from configs.clock import parse_instant
from configs.errors import NotReady
from configs.settings import Settings
from configs.state_dir import StateDir
from serving.ledger.database import LOCK_SECONDS, Durability, open_database, without_nul
from serving.ledger.schema import RISKS, SHADOW_RISKS, WAL_CHECKPOINTS
from serving.schemas.enums import Purpose
from serving.schemas.responses import Score
from serving.schemas.serialization import to_json

if TYPE_CHECKING:
    import pandas as pd

ROWS_PER_STATEMENT = 5_000
CHECKPOINT_RETENTION_DAYS = 30
SNAPSHOT = ("account_id", "as_of")
COLUMN_NAMES = tuple(column.name for column in RISKS.columns if not column.primary_key)
# Plain SQL, because what SQLAlchemy does for every value and row costs more than the insert.
SQLITE_INSERT = f"insert into {RISKS.name} ({', '.join(COLUMN_NAMES)}) values ({', '.join('?' * len(COLUMN_NAMES))})"


class ScoreSource(TypedDict):
    """What the scores of one response have in common: when, for which request, for which purpose, and which model."""

    scored_at: datetime
    request_id: str
    purpose: Purpose
    model: str
    version: int
    label_hash: str
    signal_set: str
    currency: str | None


class LedgerRow(ScoreSource):
    """One row: a score, and columns of it to search by."""

    account_id: str
    as_of: datetime
    risk: float
    base: float
    band: str
    status: str
    mrr: float | None
    score: str


@dataclass(frozen=True)
class Checkpoint:
    """Says that the rows beside it are those of a write-ahead-log segment from byte `start` to byte `end`."""

    segment: str
    start: int
    end: int
    at: datetime


class DuplicateCheckpoint(Exception):
    """Another process stored the same part of a segment first."""


@dataclass(frozen=True)
class Ledger:
    """The ledger in the database at `location`, a SQLite file or a URL; with "fsync" a commit waits for the disk.

    What another process keeps locked is waited for `lock_seconds`.
    """

    location: Path | str
    durability: Durability = "process"
    lock_seconds: float = LOCK_SECONDS

    @property
    def is_immediate(self) -> bool:
        """Always False: `append` waits for the database."""
        return False

    @cached_property
    def engine(self) -> sql.Engine:
        return open_database(self.location, self.durability, self.lock_seconds)

    def append(self, scores: Iterable[Score], source: ScoreSource) -> None:
        """Add the scores of one response, all of them or none."""
        self.add([row_from_score(score, source) for score in scores])

    def add(self, rows: Sequence[LedgerRow], checkpoint: Checkpoint | None = None) -> None:
        """Add rows and the checkpoint of their segment, all of it or nothing.

        Raises DuplicateCheckpoint unless the database holds the segment up to exactly the checkpoint's start.
        """
        with self.engine.begin() as connection:
            if checkpoint:
                _advance(connection, checkpoint)
            for start in range(0, len(rows), ROWS_PER_STATEMENT):
                self._insert(connection, rows[start : start + ROWS_PER_STATEMENT])

    def stored_bytes(self, segment: str) -> int:
        """How many bytes of a write-ahead-log segment the database holds."""
        query = sql.select(WAL_CHECKPOINTS.c.stored_bytes).where(WAL_CHECKPOINTS.c.segment == segment)
        with self.engine.connect() as connection:
            return connection.execute(query).scalar() or 0

    def served_risks(self, label_hash: str, until: datetime) -> "pd.DataFrame":
        """The last risk of a label that each version served of each snapshot, of days up to `until`.

        The columns are version, account_id, as_of, scored_at, risk and mrr.
        """
        import pandas as pd

        names = ("id", "version", *SNAPSHOT, "scored_at", "risk", "mrr")
        query = sql.select(*(RISKS.c[name] for name in names)).order_by(RISKS.c.id)
        query = query.where(is_served(), RISKS.c.label_hash == label_hash, RISKS.c.as_of <= until)
        with self.engine.connect() as connection:
            risks = pd.read_sql(query, connection, parse_dates=["as_of", "scored_at"])
        return risks.drop_duplicates(["version", *SNAPSHOT], keep="last").drop(columns="id").reset_index(drop=True)

    def count(self) -> int:
        """How many risks the ledger holds."""
        with self.engine.connect() as connection:
            return connection.execute(sql.select(sql.func.count()).select_from(RISKS)).scalar_one()

    def last_scored_at(self) -> datetime | None:
        """When the newest risk was recorded; None if there is none."""
        with self.engine.connect() as connection:
            return connection.execute(sql.select(RISKS.c.scored_at).order_by(RISKS.c.id.desc()).limit(1)).scalar()

    def prune(self, before: datetime) -> int:
        """Delete the risks served before an instant, and those of a shadow; returns how many were served."""
        expired = WAL_CHECKPOINTS.c.updated_at < before - timedelta(days=CHECKPOINT_RETENTION_DAYS)
        with self.engine.begin() as connection:
            connection.execute(WAL_CHECKPOINTS.delete().where(expired))
            connection.execute(SHADOW_RISKS.delete().where(SHADOW_RISKS.c.recorded_at < before))
            return connection.execute(RISKS.delete().where(RISKS.c.scored_at < before)).rowcount

    def served_accounts(self, request_id: str, as_of: datetime) -> set[str]:
        """The accounts whose risks of a day a request has served."""
        query = sql.select(RISKS.c.account_id).where(is_served(), RISKS.c.as_of == as_of)
        with self.engine.connect() as connection:
            return set(connection.execute(query.where(RISKS.c.request_id == request_id)).scalars())

    def mark_undelivered(self, request_id: str) -> None:
        """Record that the risks of a request reached nobody: they count as viewed, not as served."""
        of_request = RISKS.c.request_id == request_id, is_served()
        with self.engine.begin() as connection:
            connection.execute(RISKS.update().where(*of_request).values(purpose="viewed"))

    def vacuum(self) -> None:
        """Give the space of deleted rows back to the disk. Postgres does so by itself: its autovacuum reuses it.

        Raises NotReady if other processes hold the database, StorageFull without space for a copy of what remains.
        """
        if self.engine.dialect.name != "sqlite":
            return
        with self.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            try:
                connection.exec_driver_sql("vacuum")
                connection.exec_driver_sql("pragma wal_checkpoint(truncate)")
            except OperationalError as error:
                message = f"The rows are removed, but the disk did not get their space back: {error.orig}."
                raise NotReady(message, "Run it again when no other command writes.") from None

    def _insert(self, connection: sql.Connection, rows: Sequence[LedgerRow]) -> None:
        if self.engine.dialect.name == "sqlite":
            connection.exec_driver_sql(SQLITE_INSERT, [_sqlite_values(row) for row in rows])
        else:
            _copy_to_postgres(connection, rows)


def is_served() -> sql.ColumnElement[bool]:
    """The filter for risks that were served."""
    return RISKS.c.purpose == "served"


def open_ledger(settings: Settings, state: StateDir) -> Ledger:
    """The ledger of a configuration: at `ledger.url`, or in its state folder."""
    url = settings.ledger.url
    return Ledger(url.get_secret_value() if url else state.ledger, settings.ledger.durability)


def row_from_score(score: Score, source: ScoreSource) -> LedgerRow:
    """The ledger's row of one account's part of a response."""
    return {
        **source,
        "account_id": score["account_id"],
        "as_of": parse_instant(score["signals_as_of"]),
        "risk": score["risk"],
        "base": score["base"],
        "band": score["band"],
        "status": score["status"],
        "mrr": score["revenue"]["mrr"],
        "score": to_json(score).decode(),
    }


def _advance(connection: sql.Connection, checkpoint: Checkpoint) -> None:
    # The condition stores a part of a segment once, even if a process that was thought dead wakes up.
    at_start = WAL_CHECKPOINTS.c.segment == checkpoint.segment, WAL_CHECKPOINTS.c.stored_bytes == checkpoint.start
    values = {"stored_bytes": checkpoint.end, "updated_at": checkpoint.at}
    if connection.execute(WAL_CHECKPOINTS.update().where(*at_start).values(values)).rowcount:
        return
    try:
        connection.execute(WAL_CHECKPOINTS.insert().values(segment=checkpoint.segment, **values))
    except IntegrityError:
        raise DuplicateCheckpoint(checkpoint.segment) from None
    if checkpoint.start:
        raise DuplicateCheckpoint(checkpoint.segment)


def _sqlite_values(row: LedgerRow) -> tuple[object, ...]:
    return tuple([_format_instant(value) if isinstance(value, datetime) else value for value in _values(row)])


@lru_cache(maxsize=64)
def _format_instant(instant: datetime) -> str:
    """An instant as SQLAlchemy writes and reads it in SQLite."""
    return instant.replace(tzinfo=None).isoformat(" ", "microseconds")


def _copy_to_postgres(connection: sql.Connection, rows: Sequence[LedgerRow]) -> None:
    """COPY is an order of magnitude faster than INSERT."""
    cursor: Any = connection.connection.cursor()
    with cursor.copy(f"copy {RISKS.name} ({', '.join(COLUMN_NAMES)}) from stdin") as stream:
        for row in rows:
            stream.write_row([without_nul(value) for value in _values(row)])


def _values(row: LedgerRow) -> Iterator[object]:
    return map(row.get, COLUMN_NAMES)
