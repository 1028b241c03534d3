"""The work list as a page: whom an owner calls today, why, what it is worth, and who was left out."""

from collections.abc import Mapping

from starlette.responses import Response

from serving.api.endpoint import wait_for_portfolio
from serving.api.responses import JsonResponse
from serving.handlers.work_list import MAX_CANDIDATES, build_work_list
from serving.pages.formats import format_money
from serving.pages.page import PageRequest, page
from serving.schemas.page_queries import WorkListPageQuery
from serving.schemas.requests import WorkListQuery
from serving.schemas.responses import WorkListResponse
from serving.views.system_state import describe_system

REASONS = {
    "suppressed": "the playbook says to leave them alone",
    "low_risk": "their risk is low",
    "held_out": "they are held out to measure a play",
    "in_cooldown": "a play for them has just started",
    "already_touched": "somebody contacted them in the last days",
    "do_not_chase": "somebody marked them do not chase",
    "below_break_even": "a call would cost more than it is worth",
    "over_capacity": "their owner has enough calls of higher value",
    "nothing_raises_it": "no driver raises their risk",
    "not_scored": "they have no risk now",
}


@page("GET", "/work-list", scope="read", limits_rows=True)
async def get_work_list_page(request: PageRequest, query: WorkListPageQuery) -> Response:
    """Whom to call, for one owner or for all."""
    context, portfolio = request.context, await wait_for_portfolio(request.http)
    api_query = WorkListQuery(owner=query.owner, limit=query.limit)
    response = await request.run(MAX_CANDIDATES, build_work_list, context, portfolio, api_query, request.viewing)
    if query.format == "json":
        return JsonResponse(response)
    values = {
        "system": await request.run(1, describe_system, context),
        "query": query,
        "currency": response["currency"],
        "owners": portfolio.owners.categories,
        "calls": response["calls"],
        "excluded": response["excluded"],
        "reasons": [(count, REASONS[reason]) for reason, count in _by_count(response["reasons"])],
        "per_owner": response["per_owner"],
        "answer": answer_work_list(query.owner, response),
    }
    return request.render("work_list.html.jinja", values)


def answer_work_list(owner: str | None, response: WorkListResponse) -> str:
    """Whom to call first, how many calls there are, and what they are worth together."""
    calls = response["calls"]
    who = owner or "The team"
    if not calls:
        return f"{who} has nobody to call today."
    first = calls[0]["name"] or calls[0]["account_id"]
    value = format_money(sum(call["value"] for call in calls), response["currency"])
    if len(calls) == 1:
        return f"{who} has 1 account to call today: {first}. The call is worth {value}."
    return f"{who} has {len(calls)} accounts to call today, {first} first. Together the calls are worth {value}."


def _by_count(reasons: Mapping[str, int]) -> list[tuple[str, int]]:
    return sorted(reasons.items(), key=lambda reason: -reason[1])
