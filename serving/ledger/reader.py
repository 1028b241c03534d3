"""Reads risks back from the ledger, exactly as they were served."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from typing import Any

import sqlalchemy as sql

from configs.clock import format_instant
from configs.sections.bands import Band
from serving.ledger.ledger import RISKS, Ledger
from serving.schemas.enums import Status
from serving.schemas.responses import Score

MAX_IDS_PER_QUERY = 900  # SQLite binds at most 999 values in old builds
ENTRY_COLUMNS = (
    "id", "account_id", "as_of", "scored_at", "risk", "base", "band", "status", "mrr", "version", "signal_set",
    "currency",
)  # fmt: skip
# `is_served` for queries about some accounts, without the index of `purpose`: SQLite has no statistics, would choose
# that one, and read every risk that was ever served, of all accounts.
SERVED = sql.func.coalesce(RISKS.c.purpose, "") == "served"


@dataclass(frozen=True)
class LedgerEntry:
    """A risk as it was served; `score` is the account's part of the response."""

    id: int
    account_id: str
    as_of: datetime
    scored_at: datetime
    risk: float
    base: float
    band: Band
    status: Status
    mrr: float | None
    version: int
    signal_set: str
    currency: str | None
    score: Score


@dataclass(frozen=True)
class LedgerReader:
    """Reads what the ledger holds of accounts."""

    ledger: Ledger

    def served_by(self, account_ids: Sequence[str], day: date) -> dict[str, LedgerEntry]:
        """The risk of each account of the newest signals that had been served by the end of a day.

        Accounts of which nothing had been served are absent: what was viewed or recomputed, or served later, is not
        what was served.
        """
        return self._newest(account_ids, SERVED, RISKS.c.scored_at < end_of_day(day))

    def bands_served_by(self, days: Mapping[str, date]) -> dict[str, str]:
        """The band of each account's newest risk that had been served by the end of a day of its own.

        Accounts of which nothing had been served by then are absent.
        """
        order = RISKS.c.as_of.desc(), RISKS.c.id.desc()
        rank = sql.func.row_number().over(partition_by=RISKS.c.account_id, order_by=order).label("rank")
        names = sql.column("account_id", sql.String), sql.column("ends_at", sql.DateTime)
        bands: dict[str, str] = {}
        with self.ledger.engine.connect() as connection:
            for ids in _chunk_ids(list(days)):
                ends = sql.values(*names).data([(name, end_of_day(days[name])) for name in ids]).cte("ends")
                was_served = SERVED & (RISKS.c.scored_at < ends.c.ends_at)
                served = sql.select(RISKS.c.account_id, RISKS.c.band, rank).where(was_served)
                ranked = served.join(ends, ends.c.account_id == RISKS.c.account_id).subquery()
                newest = sql.select(ranked.c.account_id, ranked.c.band).where(ranked.c.rank == 1)
                bands |= {row.account_id: row.band for row in connection.execute(newest)}
        return bands

    def last_known(self, account_ids: Sequence[str]) -> dict[str, LedgerEntry]:
        """The newest risk of each account that was given when it was new; accounts without one are absent."""
        return self._newest(account_ids, RISKS.c.purpose != "recomputed")

    def history(self, account_id: str, limit: int, before: int | None = None) -> list[LedgerEntry]:
        """The risks that were served of an account, newest first; a risk that was served again is listed once.

        `before` is the id of the last entry of the previous page.
        """
        if not _is_storable(account_id):
            return []
        of_account = RISKS.c.account_id == account_id, SERVED
        repeated = RISKS.c.as_of, RISKS.c.version, RISKS.c.risk, RISKS.c.status
        first = sql.select(sql.func.min(RISKS.c.id)).where(*of_account).group_by(*repeated)
        query = sql.select(RISKS).where(RISKS.c.id.in_(first)).order_by(RISKS.c.id.desc()).limit(limit)
        if before is not None:
            query = query.where(RISKS.c.id < before)
        with self.ledger.engine.connect() as connection:
            return [entry_from_row(row) for row in connection.execute(query).mappings()]

    def recorded_at(self, account_id: str, scored_at: datetime) -> list[LedgerEntry]:
        """Every entry of an account that was recorded at an instant, whatever it was for."""
        if not _is_storable(account_id):
            return []
        query = sql.select(RISKS).where(RISKS.c.account_id == account_id, RISKS.c.scored_at == scored_at)
        with self.ledger.engine.connect() as connection:
            return [entry_from_row(row) for row in connection.execute(query.order_by(RISKS.c.id)).mappings()]

    def recent_risks(
        self, account_ids: Sequence[str], days: int, served_by: date | None = None
    ) -> dict[str, list[float]]:
        """The last served risk of each of the newest `days` days of each account, oldest first.

        With `served_by`, of those that had been served by the end of that day.
        """
        served = (SERVED, *(() if served_by is None else (RISKS.c.scored_at < end_of_day(served_by),)))
        of_day = RISKS.c.account_id, RISKS.c.as_of
        series: dict[str, list[float]] = {}
        with self.ledger.engine.connect() as connection:
            for ids in _chunk_ids(account_ids):
                last = sql.select(sql.func.max(RISKS.c.id)).where(RISKS.c.account_id.in_(ids), *served)
                query = sql.select(RISKS.c.account_id, RISKS.c.risk).where(RISKS.c.id.in_(last.group_by(*of_day)))
                for account_id, risk in connection.execute(query.order_by(*of_day)):
                    series.setdefault(account_id, []).append(risk)
        return {account_id: risks[-days:] for account_id, risks in series.items()}

    def _newest(self, account_ids: Sequence[str], *filters: sql.ColumnElement[bool]) -> dict[str, LedgerEntry]:
        order = RISKS.c.as_of.desc(), RISKS.c.id.desc()
        rank = sql.func.row_number().over(partition_by=RISKS.c.account_id, order_by=order).label("rank")
        entries: dict[str, LedgerEntry] = {}
        with self.ledger.engine.connect() as connection:
            for ids in _chunk_ids(account_ids):
                ranked = sql.select(RISKS, rank).where(RISKS.c.account_id.in_(ids), *filters).subquery()
                rows = connection.execute(sql.select(ranked).where(ranked.c.rank == 1)).mappings()
                entries |= {row["account_id"]: entry_from_row(row) for row in rows}
        return entries


def served_response(entry: LedgerEntry) -> Score:
    """The account's part of the response, with when it was served and by which version."""
    return {**entry.score, "scored_at": format_instant(entry.scored_at), "version": entry.version}


def entry_from_row(row: Mapping[Any, Any]) -> LedgerEntry:
    """A row of the ledger's table as an entry."""
    return LedgerEntry(**{name: row[name] for name in ENTRY_COLUMNS}, score=json.loads(row["score"]))


def end_of_day(day: date) -> datetime:
    """The midnight that ends a day."""
    return datetime.combine(day, time.min) + timedelta(days=1)


def _chunk_ids(account_ids: Sequence[str]) -> Iterator[list[str]]:
    ids = [account_id for account_id in account_ids if _is_storable(account_id)]
    for start in range(0, len(ids), MAX_IDS_PER_QUERY):
        yield ids[start : start + MAX_IDS_PER_QUERY]


def _is_storable(account_id: str) -> bool:
    # Postgres refuses NUL in a text; no account has such an id.
    return "\0" not in account_id
