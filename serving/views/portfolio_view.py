"""The view of the portfolio that a person sees: totals beside an earlier day, and one page of accounts with reasons."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import date, datetime

import numpy as np

from configs.sections.bands import BANDS, Band
from serving.accounts.portfolio import Portfolio
from serving.accounts.portfolio_comparison import PortfolioComparison, PortfolioTotals, rows_of_half, sum_accounts
from serving.accounts.trends.risk_trend import TRENDS
from serving.accounts.trends.usage_trend import USAGE_TRENDS
from serving.handlers.checks import require_past_day
from serving.handlers.context import ServiceContext
from serving.schemas.enums import Trend, UsageTrend
from serving.schemas.page_queries import PortfolioQuery, default_since
from serving.scoring.driver_text import find_main_driver

SPARKLINE_DAYS = 26
SECONDS = "datetime64[s]"


@dataclass(frozen=True)
class ListedAccount:
    """One account on the page; what is not known is None. `reason` is the driver that raises its risk most."""

    account_id: str
    name: str | None
    owner: str | None
    segment: str | None
    band: Band
    risk: float
    change: float | None
    mrr: float | None
    revenue_at_risk: float | None
    family: str | None
    renews_at: datetime | None
    reason: str = ""
    recent_risks: tuple[float, ...] = ()
    trend: Trend | None = None
    usage_trend: UsageTrend | None = None


@dataclass(frozen=True)
class PortfolioView:
    """What a page of the portfolio shows, and what its filters offer.

    `earlier_totals` and `new` are None if no earlier day knows them; `half` is how many accounts carry half of the
    revenue at risk, `bands` how many there are in each band, under the filters.
    """

    query: PortfolioQuery
    as_of: datetime
    version: int
    since: date
    has_earlier: bool
    totals: PortfolioTotals
    earlier_totals: PortfolioTotals | None
    half: int
    new: int | None
    bands: Mapping[Band, int]
    accounts: list[ListedAccount]
    shown: int
    next_cursor: str | None
    segments: tuple[str, ...]
    owners: tuple[str, ...]
    families: tuple[str, ...]
    is_past: bool
    currency: str | None


def view_portfolio(context: ServiceContext, portfolio: Portfolio, query: PortfolioQuery) -> PortfolioView:
    """The portfolio now, with the reason of each account on the page."""
    since = query.since or default_since(portfolio.key.as_of.date())
    view = _view(context.columns.current(portfolio, since), query, since)
    ids = [account.account_id for account in view.accounts]
    recent, reasons = context.ledger_reader.recent_risks(ids, SPARKLINE_DAYS), _reasons(context, ids)
    accounts = [
        replace(
            account,
            reason=reasons.get(account.account_id, ""),
            recent_risks=_up_to_now(recent.get(account.account_id, []), account.risk),
        )
        for account in view.accounts
    ]
    return replace(view, accounts=accounts)


def view_past_portfolio(context: ServiceContext, day: date, query: PortfolioQuery) -> PortfolioView:
    """The portfolio as it had been served by the end of a day.

    Raises RequestError: 404 if nothing had been served, 422 for a day to come.
    """
    require_past_day(context, day)
    since = query.since or default_since(day)
    view = _view(context.columns.served_by(day, since), query, since)
    recent = context.ledger_reader.recent_risks([account.account_id for account in view.accounts], SPARKLINE_DAYS, day)
    accounts = [replace(account, recent_risks=tuple(recent.get(account.account_id, ()))) for account in view.accounts]
    return replace(view, accounts=accounts)


def _view(compared: PortfolioComparison, query: PortfolioQuery, since: date) -> PortfolioView:
    columns = compared.columns
    matches = compared.filter_rows(query)
    page = compared.page(query, compared.shown_rows(query, matches))
    earlier = compared.earlier_totals(query)
    counts = np.bincount(columns.bands[matches], minlength=len(BANDS)).tolist()
    return PortfolioView(
        query=query,
        as_of=columns.as_of,
        version=columns.version,
        since=since,
        has_earlier=compared.earlier is not None,
        totals=sum_accounts(columns, matches, compared.level_sd),
        earlier_totals=earlier,
        half=len(rows_of_half(columns, matches)),
        new=None if earlier is None else len(compared.new_rows(query, matches)),
        bands=dict(zip(BANDS, counts, strict=True)),
        accounts=[_listed_account(compared, int(row)) for row in page.rows],
        shown=page.total,
        next_cursor=page.next_cursor,
        segments=columns.segments.categories,
        owners=columns.owners.categories,
        families=tuple(sorted(columns.families.categories)),
        is_past=columns.is_past,
        currency=columns.currency,
    )


def _listed_account(compared: PortfolioComparison, row: int) -> ListedAccount:
    columns = compared.columns
    renewal = columns.renewal_times[row]
    return ListedAccount(
        account_id=columns.account_ids[row],
        name=columns.names[row],
        owner=columns.owners.value(row),
        segment=columns.segments.value(row),
        band=BANDS[columns.bands[row]],
        risk=float(columns.risks[row]),
        change=_number_or_none(compared.changes[row]),
        mrr=_number_or_none(columns.mrr[row]),
        revenue_at_risk=_number_or_none(columns.revenue_at_risk[row]),
        family=columns.families.value(row),
        trend=None if compared.trends is None else TRENDS[compared.trends[row]],
        usage_trend=None if compared.usage_trends is None else USAGE_TRENDS[compared.usage_trends[row]],
        renews_at=None if np.isnan(renewal) else np.datetime64(int(renewal), "s").astype(SECONDS).item(),
    )


def _number_or_none(value: float) -> float | None:
    return None if np.isnan(value) else float(value)


def _reasons(context: ServiceContext, account_ids: list[str]) -> dict[str, str]:
    """The driver that raises the risk of each account most, in words."""
    if not account_ids:
        return {}
    response = context.scorer.to_response(context.scorer.score_accounts(account_ids), 1)
    drivers = {score["account_id"]: find_main_driver(score["drivers"]) for score in response["scores"]}
    return {account_id: driver["text"] for account_id, driver in drivers.items() if driver}


def _up_to_now(recent: list[float], risk: float) -> tuple[float, ...]:
    """The served risks, and the present one unless it was the last that was served."""
    is_served = bool(recent) and abs(recent[-1] - risk) < 1e-9
    return tuple(recent if is_served else [*recent, risk])
