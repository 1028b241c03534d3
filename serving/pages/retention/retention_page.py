"""Retention as a page, as JSON and as CSV: what became of the recurring revenue, by group, month and reason."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from markupsafe import Markup
from starlette.responses import Response

from configs.rounding import round_parts
from features.retention.definitions import DEFINITIONS
from features.retention.losses import KINDS, LossKind, RevenueLoss
from features.retention.movements import RevenueMovement
from features.retention.periods import PERIODS
from serving.api.responses import JsonResponse
from serving.pages.charts.interval import draw_interval
from serving.pages.charts.waterfall import draw_bars, waterfall_bars
from serving.pages.page import PageRequest, page
from serving.pages.retention.retention_answer import answer_retention
from serving.pages.retention.retention_document import groups_csv, months_csv, retention_document
from serving.schemas.page_queries import RetentionQuery
from serving.views.retention_cache import retention_key
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
    key = retention_key(context.revenue.written_at(), context.owner, query)
    view = cache.find(key)
    if view is None:
        history = await request.run(1, context.revenue.current)
        accounts = min(len(history.account_ids), context.pools.ledger.max_accounts // 2)
        view = await request.run(accounts, view_retention, history, query, context.settings.retention)
        cache.add(key, view)
    return view


def retention_values(view: RetentionView) -> Mapping[str, object]:
    """What the template of the retention shows."""
    report = view.report
    return {
        "view": view,
        "report": report,
        "answer": answer_retention(report),
        "steps": movement_steps(report.movement),
        "months": [(month, whole_amounts(month)) for month in report.months],
        "dimensions": [
            (label, groups)
            for dimension, label in DIMENSIONS.items()
            if (groups := [group for group in report.groups if group.dimension == dimension])
        ],
        "losses": _by_kind(report.losses),
        "definitions": DEFINITIONS,
        "periods": PERIODS,
        "draw_interval": draw_interval,
    }


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


def _by_kind(losses: Sequence[RevenueLoss]) -> list[tuple[str, Sequence[RevenueLoss]]]:
    """The kinds of losses that there were, with the reasons of each."""
    kinds = [(KIND_LABELS[kind], [loss for loss in losses if loss.kind == kind]) for kind in KINDS]
    return [(label, of_kind) for label, of_kind in kinds if of_kind]
