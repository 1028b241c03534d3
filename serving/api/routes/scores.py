"""Routes that give risks: scores, and everything they are made of."""

from datetime import date
from typing import Annotated

from fastapi import APIRouter, Query
from starlette.requests import Request
from starlette.responses import Response

from configs.errors import RequestError
from serving.api.dependencies import apart, desk_of, read, request_id
from serving.api.openapi import declared
from serving.api.responses import Json
from serving.handlers import explain as explaining
from serving.handlers import score as last_known
from serving.schemas.requests import ExplainRequest, PastQuery, ScoreRequest
from serving.schemas.responses import ExplainReply, ScoreReply

ROUTES = APIRouter()
FEW = 4  # so many are scored sooner than a thread is woken up and waited for


@ROUTES.post("/score", **declared(scope="score", asks=ScoreRequest, answers=ScoreReply))
async def post_score(request: Request, query: Annotated[PastQuery, Query()]) -> Response:
    """Give the risks of up to 10,000 accounts, with the drivers that add up to them."""
    return await give(request, query.as_of)


async def give(request: Request, day: date | None = None) -> Response:
    """The risks asked for, of now or as they were served on a past day."""
    asked, desk, given = await read(request, ScoreRequest), desk_of(request), request_id(request)
    most, ids = desk.settings.serving.most_accounts, asked.account_ids
    if len(ids) > most:
        message = f"{len(ids)} account_ids are more than the {most} one request may ask for."
        raise RequestError(message, "Split the request.", code="too_many", status=422)
    if day:
        reply = await apart(last_known.as_of, desk, ids, day)
    elif len(ids) <= FEW and desk.engine.is_prompt:
        reply = last_known.score(desk, ids, asked.drivers, given)
    else:
        reply = await apart(last_known.score, desk, ids, asked.drivers, given)
    return Json(reply, headers={"x-request-id": given})


@ROUTES.post("/explain", **declared(scope="score", asks=ExplainRequest, answers=ExplainReply))
async def post_explain(request: Request) -> Response:
    """Explain risks by every family and signal, within every horizon, beside their peers, with what to do."""
    asked, desk, given = await read(request, ExplainRequest), desk_of(request), request_id(request)
    reply = await apart(explaining.explain, desk, asked.account_ids, given)
    return Json(reply, headers={"x-request-id": given})
