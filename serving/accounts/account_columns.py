"""Every account with its risk on one day as columns, to filter, sort, sum and page without a loop over accounts.

A day is the newest publication, from the portfolio, or a past day, from the ledger as it was served then.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime
from functools import cached_property

import numpy as np
import sqlalchemy as sql

from configs.sections.bands import BANDS
from features.store.account_table import AccountTable
from serving.accounts.past_listing import last_served_risks
from serving.accounts.portfolio import CategoryColumn, Portfolio, encode_categories, owned_rows
from serving.ledger.ledger import RISKS, Ledger
from serving.scoring.scores import MIN_NAMED_POINTS

LASTING_COLUMNS = ("account_id", "name", "owner", "segment")


@dataclass(frozen=True)
class AccountColumns:
    """Every account with a risk on one day; all columns have a row for each.

    `risks` are within the main horizon. `families` are those that raise each risk most, `versions` the models that gave
    them. `renewal_times` are seconds since 1970. What is not known is NaN, None or -1. `is_past` says that the ledger
    gave the risks. All amounts are in `currency`, None if it was not declared; one in another currency is not known.
    """

    as_of: datetime
    version: int
    account_ids: np.ndarray
    names: np.ndarray
    owners: CategoryColumn
    segments: CategoryColumn
    families: CategoryColumn
    bands: np.ndarray
    risks: np.ndarray
    mrr: np.ndarray
    renewal_times: np.ndarray
    versions: np.ndarray
    is_past: bool = False
    currency: str | None = None

    def __len__(self) -> int:
        return len(self.account_ids)

    @cached_property
    def revenue_at_risk(self) -> np.ndarray:
        return self.risks * self.mrr

    def owned_by(self, owner: str, account_ids: Collection[str]) -> "AccountColumns":
        """The accounts of an owner that are still among these."""
        rows = owned_rows(self.owners, self.account_ids, owner, account_ids)
        arrays = ("account_ids", "names", "bands", "risks", "mrr", "renewal_times", "versions")
        columns = {name: getattr(self, name).restrict(rows) for name in ("owners", "segments", "families")}
        return replace(self, **{name: getattr(self, name)[rows] for name in arrays}, **columns)

    @cached_property
    def row_of(self) -> dict[str, int]:
        """The row of each account."""
        return {account_id: row for row, account_id in enumerate(self.account_ids)}

    @cached_property
    def sort_names(self) -> np.ndarray:
        """What accounts are sorted and searched by: the name without case, then the id."""
        pairs = zip(self.names, self.account_ids, strict=True)
        return np.array([f"{name or ''}\n{account_id}".casefold() for name, account_id in pairs], dtype=object)

    @cached_property
    def name_ranks(self) -> np.ndarray:
        """The place of each account in the order of names."""
        ranks = np.empty(len(self))
        ranks[np.argsort(self.sort_names, kind="stable")] = np.arange(len(self))
        return ranks

    def matching_text(self, text: str) -> np.ndarray:
        """Whether the name or the id of each account holds a text, without case."""
        import pyarrow as pa
        import pyarrow.compute as pc

        matches = pc.match_substring(pa.array(self.sort_names, pa.string()), text.casefold())  # type: ignore[attr-defined]
        return np.asarray(matches.to_numpy(zero_copy_only=False), dtype=bool)


def current_columns(portfolio: Portfolio) -> AccountColumns:
    """The accounts of the portfolio that have a risk."""
    rows = np.flatnonzero(~np.isnan(portfolio.main_risks))
    return AccountColumns(
        as_of=portfolio.key.as_of,
        version=portfolio.key.version,
        account_ids=portfolio.account_ids[rows],
        names=portfolio.names[rows],
        owners=portfolio.owners.take(rows),
        segments=portfolio.segments.take(rows),
        families=portfolio.families.take(rows),
        bands=portfolio.bands[rows],
        risks=portfolio.main_risks[rows],
        mrr=portfolio.mrr[rows],
        renewal_times=portfolio.renewal_times[rows],
        versions=np.full(len(rows), portfolio.key.version),
        currency=portfolio.key.currency,
    )


def past_columns(ledger: Ledger, day: date, table: AccountTable | None) -> AccountColumns:
    """The accounts as they had been served by the end of a day, with names, owners and segments of today.

    Raises RequestError (404) if nothing had been served.
    """
    with ledger.engine.connect() as connection:
        as_of, filters = last_served_risks(connection, day)
        selected = (
            *(RISKS.c[name] for name in ("id", "account_id", "risk", "mrr", "currency", "band", "version")),
            _leading_family(),
        )
        rows = connection.execute(sql.select(*selected).where(*filters).order_by(RISKS.c.id)).all()
    entry_ids, account_ids, risks, mrr, currencies, bands, versions, families = zip(*rows, strict=True)
    newest = int(np.argmax(entry_ids))
    lasting = _lasting_details(table, account_ids)
    band_codes = {band: code for code, band in enumerate(BANDS)}
    return AccountColumns(
        as_of=as_of,
        version=versions[newest],
        account_ids=_texts(account_ids),
        names=_texts(lasting["name"]),
        owners=encode_categories(lasting["owner"]),
        segments=encode_categories(lasting["segment"]),
        families=encode_categories(families),
        bands=np.array([band_codes[band] for band in bands]),
        risks=np.array(risks, dtype=float),
        mrr=_amounts_in(currencies[newest], mrr, currencies),
        renewal_times=np.full(len(rows), np.nan),
        versions=np.array(versions),
        is_past=True,
        currency=currencies[newest],
    )


def _amounts_in(currency: str | None, amounts: Sequence[float | None], currencies: Sequence[str | None]) -> np.ndarray:
    """The amounts as an array; NaN for those that are not known or in another currency, which must not be added.

    >>> _amounts_in("EUR", [10.0, 20.0, 30.0, None], ["EUR", "USD", None, "EUR"]).tolist()
    [10.0, nan, 30.0, nan]
    """
    is_other = [bool(code and currency) and code != currency for code in currencies]
    pairs = zip(amounts, is_other, strict=True)
    return np.array([np.nan if amount is None or other else amount for amount, other in pairs], dtype=float)


# Postgres reads fields out of a value of type json only, SQLite out of text.
_SCORE_DOCUMENT = sql.Text().with_variant(sql.JSON(), "postgresql")


def _leading_family() -> sql.ColumnElement[str]:
    """The family of the first driver of a stored score; null if that raises the risk by under MIN_NAMED_POINTS."""
    score = sql.type_coerce(sql.cast(RISKS.c.score, _SCORE_DOCUMENT), sql.JSON)
    points = score[("drivers", 0, "points")].as_float()
    return sql.case((points >= MIN_NAMED_POINTS, score[("drivers", 0, "family")].as_string()))


def _lasting_details(table: AccountTable | None, account_ids: Sequence[str]) -> dict[str, list[str | None]]:
    """What holds for a past day too: who the account is, not what it is about now."""
    names = LASTING_COLUMNS[1:]
    if table is None:
        return {name: [None] * len(account_ids) for name in names}
    columns = table.columns(*LASTING_COLUMNS)
    row_of = {account_id: row for row, account_id in enumerate(columns["account_id"])}
    rows = [row_of.get(account_id) for account_id in account_ids]
    return {name: [None if row is None else columns[name][row] for row in rows] for name in names}


def _texts(values: Sequence[str | None]) -> np.ndarray:
    return np.array(values, dtype=object)
