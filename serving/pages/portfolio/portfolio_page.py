"""The portfolio as a page, as CSV and as JSON: three renderings of one view."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import get_args

from starlette.responses import RedirectResponse, Response

from configs.clock import format_instant
from configs.sections.bands import BANDS
from serving.api.endpoint import wait_for_portfolio
from serving.api.responses import JsonResponse
from serving.pages.charts.sparkline import sparkline
from serving.pages.csv_text import write_csv
from serving.pages.formats import name_currency
from serving.pages.page import PageRequest, page
from serving.pages.portfolio.portfolio_answer import answer_portfolio, portfolio_url
from serving.pages.portfolio.saved_views_page import SEE_OTHER, default_address, list_saved_views, saved_query
from serving.schemas.page_queries import DESCENDING_SORTS, PortfolioQuery, PortfolioSort, Shown
from serving.views.portfolio_view import ListedAccount, PortfolioView, view_past_portfolio, view_portfolio
from serving.views.system_state import describe_system

RISK_DECIMALS, MONEY_DECIMALS = 3, 2
LIMITS = (25, 50, 100, 500)
# The columns of the table in their order, with what sorts by each.
HEADINGS: tuple[tuple[PortfolioSort | None, str, str], ...] = (
    ("name", "Account", ""),
    ("risk", "Risk", "number"),
    ("change", "Change", "number"),
    (None, "Trend", "trend"),
    (None, "Usage", "usage"),
    ("revenue_at_risk", "Revenue at risk", "number"),
    ("mrr", "MRR", "number"),
    ("family", "Main driver", ""),
    ("owner", "Owner", ""),
    ("segment", "Segment", ""),
    ("renewal", "Renews", "number"),
)
AMOUNTS = ("mrr", "revenue_at_risk")


@dataclass(frozen=True)
class Heading:
    """The head of a column: the address that sorts by it, and how it is sorted now."""

    label: str
    kind: str
    href: str | None
    sorted: str | None


@page("GET", "/", scope="read", limits_rows=True)
async def get_portfolio(request: PageRequest, query: PortfolioQuery) -> Response:
    """Who needs attention, in the order and with the filters of the address."""
    context = request.context
    views = await request.run(1, list_saved_views, request, query) if query.format != "csv" else []
    if not request.http.url.query and (default := default_address(views)):
        return RedirectResponse(default, SEE_OTHER)
    if query.as_of is not None:
        view = await request.run(query.limit, view_past_portfolio, context, query.as_of, query)
    else:
        portfolio = await wait_for_portfolio(request.http)
        view = await request.run(query.limit, view_portfolio, context, portfolio, query)
    if query.format == "json":
        return JsonResponse({**portfolio_document(view), "saved_views": list(map(vars, views))})
    if query.format == "csv":
        name = f'attachment; filename="oarlock-accounts-{view.as_of:%Y-%m-%d}.csv"'
        return Response(portfolio_csv(view), media_type="text/csv", headers={"content-disposition": name})
    system = await request.run(1, describe_system, context)
    values = {"system": system, "saved_views": views, "saved_query": saved_query(query), **portfolio_values(view)}
    return request.render("portfolio.html.jinja", values)


def portfolio_values(view: PortfolioView) -> Mapping[str, object]:
    """What the template of the portfolio shows."""
    return {
        "view": view,
        "answer": answer_portfolio(view),
        "currency": view.currency,
        "headings": _headings(view.query, view.currency),
        "bands": BANDS[::-1],
        "shows": get_args(Shown),
        "limits": LIMITS,
        "sparkline": sparkline,
        "url": lambda **changes: portfolio_url(view.query, **changes),
    }


def portfolio_document(view: PortfolioView) -> dict[str, object]:
    """The view as JSON: what the page shows, rounded as it is there."""
    totals = view.totals._asdict()
    return {
        "as_of": format_instant(view.as_of),
        "version": view.version,
        "since": view.since.isoformat() if view.has_earlier else None,
        "answer": "".join(part.text for part in answer_portfolio(view)),
        "currency": view.currency,
        "totals": {name: value if value is None else round(value, MONEY_DECIMALS) for name, value in totals.items()},
        "total": view.shown,
        "accounts": [account_fields(account, view.currency) for account in view.accounts],
        "next_cursor": view.next_cursor,
    }


def portfolio_csv(view: PortfolioView) -> str:
    """The accounts on the page as CSV; a text that a spreadsheet takes for a formula gets an apostrophe before it."""
    fields = [account_fields(account, view.currency) for account in view.accounts]
    risks = [{"recent_risks": " ".join(map(str, row["recent_risks"]))} for row in fields]  # type: ignore[arg-type]
    columns = [*ListedAccount.__annotations__, "currency"]
    return write_csv(columns, [row | text for row, text in zip(fields, risks, strict=True)])


def account_fields(account: ListedAccount, currency: str | None) -> dict[str, object]:
    """One account with the numbers of the page: risks in tenths of a percent, amounts in hundredths."""
    return {
        **vars(account),
        "risk": round(account.risk, RISK_DECIMALS),
        "change": _rounded(account.change, RISK_DECIMALS),
        "mrr": _rounded(account.mrr, MONEY_DECIMALS),
        "revenue_at_risk": _rounded(account.revenue_at_risk, MONEY_DECIMALS),
        "renews_at": format_instant(account.renews_at) if account.renews_at else None,
        "recent_risks": [round(risk, RISK_DECIMALS) for risk in account.recent_risks],
        "currency": currency,
    }


def _rounded(value: float | None, decimals: int) -> float | None:
    return None if value is None else round(value, decimals)


def _headings(query: PortfolioQuery, currency: str | None) -> list[Heading]:
    labels = [name_currency(label, currency) if sort in AMOUNTS else label for sort, label, _ in HEADINGS]
    columns = zip(labels, HEADINGS, strict=True)
    return [Heading(label, kind, *_sort_link(query, sort)) for label, (sort, _, kind) in columns]


def _sort_link(query: PortfolioQuery, sort: PortfolioSort | None) -> tuple[str | None, str | None]:
    """The address that sorts by a column, in the other direction if it sorts already, and its direction now."""
    if sort is None:
        return None, None
    is_sorted = query.sort == sort
    is_descending = not query.is_descending if is_sorted else sort in DESCENDING_SORTS
    default = sort in DESCENDING_SORTS
    order = None if is_descending == default else ("desc" if is_descending else "asc")
    direction = ("descending" if query.is_descending else "ascending") if is_sorted else None
    return portfolio_url(query, sort=sort, order=order, cursor=None), direction
