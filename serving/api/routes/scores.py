"""Routes that give risks: scores, and everything they are made of."""

from datetime import date
from typing import Annotated

from fastapi import APIRouter, Query
from starlette.requests import Request
from starlette.responses import Response

from configs.errors import RequestError
from serving.api.dependencies import get_context, read_body, request_id, run_in_thread
from serving.api.openapi import declare_route
from serving.api.responses import OrjsonResponse
from serving.handlers import explain as explaining
from serving.handlers import score as last_known
from serving.schemas.requests import ExplainRequest, PastQuery, ScoreRequest
from serving.schemas.responses import ExplainResponse, ScoreResponse

ROUTES = APIRouter()
MAX_INLINE_ACCOUNTS = 4  # so many are scored sooner than a thread is woken up and waited for


@ROUTES.post("/score", **declare_route(scope="score", asks=ScoreRequest, answers=ScoreResponse))
async def post_score(request: Request, query: Annotated[PastQuery, Query()]) -> Response:
    """Give the risks of up to 10,000 accounts, with the drivers that add up to them."""
    return await score_accounts(request, query.as_of)


async def score_accounts(request: Request, day: date | None = None) -> Response:
    """The risks asked for, of now or as they were served on a past day."""
    asked, desk, given = await read_body(request, ScoreRequest), get_context(request), request_id(request)
    most, ids = desk.settings.serving.max_accounts_per_request, asked.account_ids
    if len(ids) > most:
        message = f"{len(ids)} account_ids are more than the {most} one request may ask for."
        raise RequestError(message, "Split the request.", code="too_many", status=422)
    if day:
        reply = await run_in_thread(last_known.score_as_of, desk, ids, day)
    elif len(ids) <= MAX_INLINE_ACCOUNTS and desk.scorer.is_prompt:
        reply = last_known.score_or_last_known(desk, ids, asked.drivers, given)
    else:
        reply = await run_in_thread(last_known.score_or_last_known, desk, ids, asked.drivers, given)
    return OrjsonResponse(reply, headers={"x-request-id": given})


@ROUTES.post("/explain", **declare_route(scope="score", asks=ExplainRequest, answers=ExplainResponse))
async def post_explain(request: Request) -> Response:
    """Explain risks by every family and signal, within every horizon, beside their peers, with what to do."""
    asked, desk, given = await read_body(request, ExplainRequest), get_context(request), request_id(request)
    reply = await run_in_thread(explaining.explain_accounts, desk, asked.account_ids, given)
    return OrjsonResponse(reply, headers={"x-request-id": given})
