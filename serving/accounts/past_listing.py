"""Past lists: the accounts of a past day as they were served by its end, sorted and paged in the ledger's database."""

from dataclasses import dataclass
from datetime import date, datetime

import sqlalchemy as sql

from configs.errors import RequestError
from serving.accounts.portfolio import decode_cursor, encode_cursor
from serving.ledger.ledger import RISKS, Ledger, is_served
from serving.ledger.reader import LedgerEntry, end_of_day, entry_from_row
from serving.schemas.requests import AccountsQuery

CURRENT_ONLY_FILTERS = ("segment", "owner", "renews_from", "renews_until")
SORTS_LAST = -1.0
SORT_KEYS: dict[str, sql.ColumnElement[float]] = {
    "risk": RISKS.c.risk,
    "revenue_at_risk": sql.func.coalesce(RISKS.c.risk * RISKS.c.mrr, SORTS_LAST),
}
Filters = list[sql.ColumnElement[bool]]


@dataclass(frozen=True)
class PastAccountsPage:
    """One page of a past day: the day of the signals, the version that scored last, its risks, and how many in all."""

    as_of: datetime
    version: int
    risks: list[LedgerEntry]
    total: int
    next_cursor: str | None


def past_accounts_page(ledger: Ledger, day: date, query: AccountsQuery) -> PastAccountsPage:
    """The accounts that were served by the end of a day, of the newest signals that were scored by then.

    Raises RequestError if nothing had been served (404), or for an order or filter that the ledger does not hold (422).
    """
    key = _sort_key(query)
    with ledger.engine.connect() as connection:
        as_of, filters = last_served_risks(connection, day)
        newest = sql.select(RISKS.c.version).where(*filters).order_by(RISKS.c.id.desc()).limit(1)
        version = connection.execute(newest).scalar_one()
        if query.band is not None:
            filters.append(RISKS.c.band == query.band)
        total = connection.execute(sql.select(sql.func.count()).select_from(RISKS).where(*filters)).scalar_one()
        if query.cursor is not None:
            filters.append(_after(query.cursor, query, key))
        page = sql.select(RISKS, key.label("key")).where(*filters).order_by(key.desc(), RISKS.c.id)
        rows = list(connection.execute(page.limit(query.limit + 1)).mappings())
    shown = rows[: query.limit]
    cursor = encode_cursor(shown[-1]["key"], shown[-1]["id"], query.sort) if len(rows) > len(shown) else None
    return PastAccountsPage(as_of, version, [entry_from_row(row) for row in shown], total, cursor)


def _sort_key(query: AccountsQuery) -> sql.ColumnElement[float]:
    unsupported = [name for name in CURRENT_ONLY_FILTERS if getattr(query, name) is not None]
    if query.sort == "renewal":
        unsupported.append("sort by renewal")
    if unsupported:
        message = f"The accounts of a past day have no {unsupported[0]}: the ledger does not record it."
        raise RequestError(
            message, "Sort by risk or revenue_at_risk, filter by band.", code="not_in_the_past", status=422
        )
    return SORT_KEYS[query.sort]


def last_served_risks(connection: sql.Connection, day: date) -> tuple[datetime, Filters]:
    """The newest day of signals that was served by the end of a day, and the filter for its last risks.

    Raises RequestError (404) if nothing had been served.
    """
    served = sql.and_(is_served(), RISKS.c.scored_at < end_of_day(day))
    as_of = connection.execute(sql.select(sql.func.max(RISKS.c.as_of)).where(served)).scalar()
    if as_of is None:
        hint = "GET /v1/accounts without as_of lists the current ones."
        raise RequestError(f"No risk had been served by {day}.", hint, code="never_scored", status=404)
    last = sql.select(sql.func.max(RISKS.c.id)).where(served, RISKS.c.as_of == as_of).group_by(RISKS.c.account_id)
    return as_of, [RISKS.c.id.in_(last)]


def _after(cursor: str, query: AccountsQuery, key: sql.ColumnElement[float]) -> sql.ColumnElement[bool]:
    value, entry_id = decode_cursor(cursor, query.sort)
    return sql.or_(key < value, sql.and_(key == value, RISKS.c.id > entry_id))
