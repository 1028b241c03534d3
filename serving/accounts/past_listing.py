"""Past lists: the accounts of a past day as they were served by its end, sorted and paged in the ledger's database."""

from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from typing import Any

import sqlalchemy as sql

from configs.errors import RequestError
from serving.accounts.portfolio import decode_cursor, encode_cursor
from serving.ledger.ledger import RISKS, Ledger
from serving.ledger.reader import LedgerEntry, entry_from_row
from serving.schemas.requests import AccountsQuery

CURRENT_ONLY_FILTERS = ("segment", "owner", "renews_from", "renews_until")
SORTS_LAST = -1.0  # where what is not known stands in an order from the top
SORT_KEYS = {"risk": RISKS.c.risk, "at_risk": sql.func.coalesce(RISKS.c.risk * RISKS.c.mrr, SORTS_LAST)}


@dataclass(frozen=True)
class PastAccountsPage:
    """One page of a past day: the signals' day, the version that answered last, its risks, how many in all."""

    as_of: datetime
    version: int
    risks: list[LedgerEntry]
    total: int
    next_cursor: str | None


def past_accounts_page(ledger: Ledger, day: date, asked: AccountsQuery) -> PastAccountsPage:
    """The accounts given a risk by the end of a day, of the newest signals that were scored by then.

    Raises RequestError where nothing had been served (404), for an order or filter that the ledger does not hold (422).
    """
    key = _key(asked)
    with ledger.engine.connect() as connection:
        served = RISKS.c.given_at < datetime.combine(day, time.min) + timedelta(days=1)
        as_of = connection.execute(sql.select(sql.func.max(RISKS.c.as_of)).where(served)).scalar()
        if as_of is None:
            hint = "GET /v1/accounts without as_of lists them now."
            raise RequestError(f"No risk had been given by {day}.", hint, code="never_scored", status=404)
        last = sql.select(sql.func.max(RISKS.c.id)).where(served, RISKS.c.as_of == as_of).group_by(RISKS.c.account_id)
        fits: list[sql.ColumnElement[bool]] = [RISKS.c.id.in_(last)]
        newest = sql.select(RISKS.c.version).where(*fits).order_by(RISKS.c.id.desc()).limit(1)
        version = connection.execute(newest).scalar_one()
        if asked.band is not None:
            fits.append(RISKS.c.band == asked.band)
        total = connection.execute(sql.select(sql.func.count()).select_from(RISKS).where(*fits)).scalar_one()
        rest = [*fits, _after(asked, key)] if asked.cursor else fits
        chosen = sql.select(RISKS, key.label("key")).where(*rest).order_by(key.desc(), RISKS.c.id)
        rows = list(connection.execute(chosen.limit(asked.limit + 1)).mappings())
    shown = rows[: asked.limit]
    cursor = encode_cursor(shown[-1]["key"], shown[-1]["id"], asked.sort) if len(rows) > len(shown) else None
    return PastAccountsPage(as_of, version, [entry_from_row(one) for one in shown], total, cursor)


def _key(asked: AccountsQuery) -> Any:
    refused = [name for name in CURRENT_ONLY_FILTERS if getattr(asked, name) is not None]
    if asked.sort == "renewal":
        refused.append("sort by renewal")
    if refused:
        message = f"A past day cannot be asked for by {refused[0]}: the ledger does not hold what it was then."
        raise RequestError(message, "Sort by risk or at_risk, filter by band.", code="not_in_the_past", status=422)
    return SORT_KEYS[asked.sort]


def _after(asked: AccountsQuery, key: Any) -> Any:
    value, place = decode_cursor(asked.cursor or "", asked.sort)
    return sql.or_(key < value, sql.and_(key == value, RISKS.c.id > place))
