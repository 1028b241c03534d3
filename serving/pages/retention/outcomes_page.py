"""Outcomes as a page and as JSON: were the flags right, what is the natural rate, and do plays work?"""

from collections.abc import Mapping

from starlette.responses import Response

from serving.api.responses import JsonResponse
from serving.ledger.served_outcomes import NOBODY_HELD_OUT, ServedOutcomes, read_outcomes
from serving.pages.page import PageRequest, page
from serving.schemas.page_queries import OutcomesQuery
from serving.views.system_state import describe_system


@page("GET", "/outcomes", scope="read")
async def get_outcomes(request: PageRequest, query: OutcomesQuery) -> Response:
    """What became of accounts whose risks were served, as it was compared last."""
    outcomes = await request.run(1, read_outcomes, request.context.state.outcomes)
    if query.format == "json":
        return JsonResponse({"answer": None} if outcomes is None else outcomes.document())
    system = await request.run(1, describe_system, request.context)
    return request.render("outcomes.html.jinja", {"system": system, **outcomes_values(outcomes)})


def outcomes_values(outcomes: ServedOutcomes | None) -> Mapping[str, object]:
    """What the template of the outcomes shows."""
    return {"report": outcomes, "currency": outcomes and outcomes.currency, "no_plays": NOBODY_HELD_OUT}
