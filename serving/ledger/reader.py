"""The past: risks read back from the ledger, exactly as they were served."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from typing import Any

import sqlalchemy as sql

from serving.ledger.ledger import RISKS, Ledger

MAX_IDS_PER_QUERY = 900  # SQLite binds at most 999 values in old builds
ENTRY_COLUMNS = (
    "id",
    "account_id",
    "as_of",
    "given_at",
    "risk",
    "base",
    "band",
    "status",
    "mrr",
    "version",
    "signal_set",
)


@dataclass(frozen=True)
class LedgerEntry:
    """A risk as it was given; `served` is the account of the reply it was given in."""

    id: int
    account_id: str
    as_of: datetime
    given_at: datetime
    risk: float
    base: float
    band: str
    status: str
    mrr: float | None
    version: int
    signal_set: str
    served: dict[str, Any]


@dataclass(frozen=True)
class LedgerReader:
    """What the ledger holds of accounts."""

    ledger: Ledger

    def latest(self, account_ids: Sequence[str], day: date | None = None) -> dict[str, LedgerEntry]:
        """The last risk of each account on a day (the newest of all where None); an account without one is left out.

        It is what was said on that day: a risk given later, even for signals of that day, only counts where there is
        none that was given by then.
        """
        end = datetime.max if day is None else datetime.combine(day, time.min) + timedelta(days=1)
        by_then = sql.case((RISKS.c.given_at < end, 0), else_=1)
        order = (by_then, RISKS.c.as_of.desc(), RISKS.c.id.desc())
        place = sql.func.row_number().over(partition_by=RISKS.c.account_id, order_by=order).label("place")
        found: dict[str, LedgerEntry] = {}
        with self.ledger.engine.connect() as connection:
            for some in _chunks(account_ids):
                ranked = sql.select(RISKS, place).where(RISKS.c.account_id.in_(some), RISKS.c.as_of < end).subquery()
                rows = connection.execute(sql.select(ranked).where(ranked.c.place == 1)).mappings()
                found |= {row["account_id"]: entry_from_row(row) for row in rows}
        return found

    def history(self, account_id: str, most: int, before: int | None = None) -> list[LedgerEntry]:
        """The risks an account was given, the newest first; `before` is the id of the last one of the page before."""
        if not _is_storable(account_id):
            return []
        chosen = sql.select(RISKS).where(RISKS.c.account_id == account_id).order_by(RISKS.c.id.desc()).limit(most)
        if before is not None:
            chosen = chosen.where(RISKS.c.id < before)
        with self.ledger.engine.connect() as connection:
            return [entry_from_row(row) for row in connection.execute(chosen).mappings()]


def served_response(one: LedgerEntry) -> dict[str, Any]:
    """The account of the reply it was given in, with when and by which version that was."""
    return {**one.served, "given_at": one.given_at.isoformat(), "version": one.version}


def entry_from_row(row: Any) -> LedgerEntry:
    """A row of the ledger as what was given."""
    return LedgerEntry(**{name: row[name] for name in ENTRY_COLUMNS}, served=json.loads(row["served"]))


def _chunks(account_ids: Sequence[str]) -> Iterator[list[str]]:
    ids = [one for one in account_ids if _is_storable(one)]
    for start in range(0, len(ids), MAX_IDS_PER_QUERY):
        yield ids[start : start + MAX_IDS_PER_QUERY]


def _is_storable(account_id: str) -> bool:
    # Postgres refuses NUL in a text; no account is called so.
    return "\0" not in account_id
