"""Retention as a page, as JSON and as CSV: what became of the recurring revenue, by group, month and reason."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, time
from functools import partial
from urllib.parse import urlencode

from markupsafe import Markup
from starlette.responses import Response

from configs.errors import NotReady, RequestError
from configs.rounding import round_parts
from features.retention.definitions import DEFINITIONS
from features.retention.losses import KINDS, LossKind, RevenueLoss
from features.retention.movements import RevenueMovement
from features.retention.periods import PERIODS
from features.retention.renewals import RenewalForecast
from features.signals.base import family_label
from features.store.publication import read_publication
from features.store.revenue_table import RevenueHistory
from features.tables.dataset import read_dataset
from serving.accounts.portfolio import Portfolio
from serving.api.endpoint import wait_for_portfolio
from serving.api.responses import JsonResponse
from serving.explanations.root_causes import RootCause, RootCauses
from serving.handlers.context import ServiceContext
from serving.pages.charts.interval import draw_interval
from serving.pages.charts.waterfall import draw_bars, waterfall_bars
from serving.pages.page import PageRequest, page
from serving.pages.retention.retention_answer import answer_retention
from serving.pages.retention.retention_document import groups_csv, months_csv, retention_document
from serving.schemas.page_queries import RetentionQuery
from serving.views.retention_key import retention_key
from serving.views.retention_view import RetentionView, view_retention
from serving.views.system_state import describe_system

PART_LABELS = ("New accounts", "Returned", "Expansion", "Contraction", "Churned")
DIMENSIONS = {
    "segment": "Segment", "owner": "Owner", "channel": "Acquisition channel", "industry": "Industry",
    "cohort": "Cohort: year of the first subscription",
}  # fmt: skip
KIND_LABELS: Mapping[LossKind, str] = {
    "involuntary": "Involuntary: a payment failed",
    "controllable": "Controllable",
    "not_controllable": "Not controllable",
    "unknown": "Unknown",
}
BASE_LABEL, SUM_LABEL = "Base", "Revenue at risk"
CSV_NAMES = {"csv": "groups", "months.csv": "months"}


@dataclass(frozen=True)
class MoneyStep:
    """A row of the waterfall, in whole units, with its bar."""

    label: str
    amount: int
    bar: Markup
    is_sum: bool


@page("GET", "/retention", scope="read", limits_rows=True)
async def get_retention(request: PageRequest, query: RetentionQuery) -> Response:
    """What became of the recurring revenue of the last months."""
    view = await _find_view(request, query)
    if query.format == "json":
        return JsonResponse(retention_document(view))
    if query.format != "html":
        name = f"oarlock-retention-{CSV_NAMES[query.format]}-{view.report.until:%Y-%m-%d}.csv"
        headers = {"content-disposition": f'attachment; filename="{name}"'}
        text = groups_csv(view) if query.format == "csv" else months_csv(view)
        return Response(text, media_type="text/csv", headers=headers)
    system = await request.run(1, describe_system, request.context)
    return request.render("retention.html.jinja", {"system": system, **retention_values(view)})


async def _find_view(request: PageRequest, query: RetentionQuery) -> RetentionView:
    """The view that is kept, or a new one: work about every account, of which two fit into the pool at a time."""
    context, cache = request.context, request.services.retention
    portfolio = await _find_portfolio(request) if query.as_of is None else None
    key = retention_key(context.revenue.written_at(), portfolio and portfolio.key, context.owner, query)
    view = cache.find(key)
    if view is None:
        history = await request.run(1, read_revenue, context, query.as_of)
        accounts = min(len(history.account_ids), context.pools.ledger.max_accounts // 2)
        view = await request.run(accounts, view_retention, history, portfolio, query, context.settings)
        cache.add(key, view)
    return view


async def _find_portfolio(request: PageRequest) -> Portfolio | None:
    """The portfolio; None if no risk can be computed: the revenue is known all the same, and the page says so."""
    try:
        return await wait_for_portfolio(request.http)
    except NotReady:
        return None


def read_revenue(context: ServiceContext, as_of: date | None) -> RevenueHistory:
    """The revenue as the tables were known on a past day, or the published one.

    Raises RequestError: 404 if the data set has no subscriptions, 422 for a day that the tables do not hold.
    Raises BeingComputed until a past day is built.
    """
    published = _read_published(context)
    if as_of is None:
        return published
    require_day_of_tables(published, as_of)
    version = read_publication(context.state)["content_version"]
    return context.past_revenue.read(datetime.combine(as_of, time()), version)


def require_day_of_tables(published: RevenueHistory, as_of: date) -> None:
    """Raise RequestError (422) for a day after the published one, or before the first subscription."""
    last = published.as_of.date()
    if as_of > last:
        message = f"{as_of} is after {last}, the last day that is published."
        raise RequestError(message, "Ask for that day or an earlier one.", code="day_ahead", status=422)
    first = min(published.first_started.tolist(), default=published.as_of).date()
    if as_of <= first:
        message = f"No subscription began before {as_of}: the first one is of {first}."
        raise RequestError(message, "Ask for a later day.", code="not_in_the_past", status=422)


def _read_published(context: ServiceContext) -> RevenueHistory:
    try:
        return context.revenue.current()
    except NotReady:
        if "subscriptions" in read_dataset(context.settings.data).selects:
            raise
        message = "The data set has no subscriptions, so there is no recurring revenue to retain."
        raise RequestError(message, "Map the table `subscriptions`.", code="no_subscriptions", status=404) from None


def retention_values(view: RetentionView) -> Mapping[str, object]:
    """What the template of the retention shows."""
    report = view.report
    return {
        "view": view,
        "report": report,
        "currency": view.currency,
        "answer": answer_retention(report, view.currency),
        "steps": movement_steps(report.movement),
        "months": [(month, whole_amounts(month)) for month in report.months],
        "dimensions": [
            (label, groups)
            for dimension, label in DIMENSIONS.items()
            if (groups := [group for group in report.groups if group.dimension == dimension])
        ],
        "losses": _by_kind(report.losses),
        "causes": view.causes,
        "cause_steps": view.causes and cause_steps(view.causes),
        "values": view.time_to_value,
        "renewals": view.renewals,
        "checked": count_checks(view.renewals),
        "definitions": DEFINITIONS,
        "periods": PERIODS,
        "draw_interval": draw_interval,
        "address": partial(query_address, view.query),
    }


def query_address(query: RetentionQuery, **changes: str | None) -> str:
    """The part of an address that asks for a view, with some fields changed.

    >>> query_address(RetentionQuery(months=6, owner="Ada L"), format="csv")
    '?months=6&owner=Ada+L&format=csv'
    """
    fields = query.model_dump(mode="json", exclude={"format"}, exclude_none=True) | changes
    return f"?{urlencode({name: value for name, value in fields.items() if value is not None})}"


def whole_amounts(movement: RevenueMovement) -> list[int]:
    """The start, the parts and the end in whole units, rounded so that they add up."""
    start, end = round(movement.start / 100), round(movement.end / 100)
    return [start, *round_parts([part / 100 for part in movement.parts], end - start), end]


def movement_steps(movement: RevenueMovement) -> list[MoneyStep]:
    """The rows of the waterfall from the start to the end of the period."""
    start, *parts, end = whole_amounts(movement)
    first, last = f"{movement.since:%-d %b %Y}", f"{movement.until:%-d %b %Y}"
    labels, bars = (first, *PART_LABELS, last), draw_bars(waterfall_bars(start, parts))
    amounts = zip(labels, (start, *parts, end), bars, strict=True)
    return [MoneyStep(label, amount, bar, label in {first, last}) for label, amount, bar in amounts]


@dataclass(frozen=True)
class CauseSteps:
    """The rows of the waterfall of causes, and the whole amounts of its families, which are those of its tables too."""

    bars: Sequence[MoneyStep]
    amounts: Mapping[str, int]

    def sum_of(self, cause: RootCause) -> int:
        return sum(self.amounts[family] for family in cause.families)


def cause_steps(causes: RootCauses) -> CauseSteps:
    """The rows from the base to the revenue at risk, in whole units that add up."""
    total, parts = round(causes.revenue_at_risk / 100), [causes.base, *(cause.amount for cause in causes.families)]
    base, *amounts = round_parts([part / 100 for part in parts], total)
    labels = [BASE_LABEL, *(_cause_label(cause) for cause in causes.families), SUM_LABEL]
    rows = zip(labels, (base, *amounts, total), draw_bars(waterfall_bars(base, amounts)), strict=True)
    steps = [MoneyStep(label, amount, bar, label in {BASE_LABEL, SUM_LABEL}) for label, amount, bar in rows]
    return CauseSteps(steps, dict(zip([cause.name for cause in causes.families], amounts, strict=True)))


def _cause_label(cause: RootCause) -> str:
    label = family_label(cause.name)
    return label[:1].upper() + label[1:]


def count_checks(renewals: RenewalForecast) -> tuple[int, int, int]:
    """How many past forecasts there are, and how many of their intervals held what was kept, gross and net."""
    checks = renewals.checks
    gross, net = (sum(getattr(check, name) for check in checks) for name in ("covers_gross", "covers_net"))
    return len(checks), gross, net


def _by_kind(losses: Sequence[RevenueLoss]) -> list[tuple[str, Sequence[RevenueLoss]]]:
    """The kinds of losses that there were, with the reasons of each."""
    kinds = [(KIND_LABELS[kind], [loss for loss in losses if loss.kind == kind]) for kind in KINDS]
    return [(label, of_kind) for label, of_kind in kinds if of_kind]
