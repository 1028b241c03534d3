"""Routes that give risks: scores, and everything they are made of."""

from typing import Annotated

from fastapi import APIRouter, Query
from starlette.requests import Request
from starlette.responses import Response

from configs.errors import RequestError
from serving import explaining, last_known
from serving.replies import ExplainReply, ScoreReply
from serving.requests import ExplainRequest, PastQuery, ScoreRequest
from serving.routes.declaration import Json, apart, declared, desk_of, read, request_id

ROUTES = APIRouter()


@ROUTES.post("/score", **declared(scope="score", asks=ScoreRequest, answers=ScoreReply))
async def post_score(request: Request, query: Annotated[PastQuery, Query()]) -> Response:
    """Give the risks of up to 10,000 accounts, with the drivers that add up to them."""
    asked, desk, given = await read(request, ScoreRequest), desk_of(request), request_id(request)
    most, day = desk.settings.serving.most_accounts, query.as_of
    if len(asked.account_ids) > most:
        message = f"{len(asked.account_ids)} account_ids are more than the {most} one request may ask for."
        raise RequestError(message, "Split the request.", code="too_many", status=422)
    if day:
        reply = await apart(last_known.as_of, desk, asked.account_ids, day)
    else:
        reply = await apart(last_known.score, desk, asked.account_ids, asked.drivers, given)
    return Json(reply, headers={"x-request-id": given})


@ROUTES.post("/explain", **declared(scope="score", asks=ExplainRequest, answers=ExplainReply))
async def post_explain(request: Request) -> Response:
    """Explain risks by every family and signal, within every horizon, beside their peers, with what to do."""
    asked, desk, given = await read(request, ExplainRequest), desk_of(request), request_id(request)
    reply = await apart(explaining.explain, desk, asked.account_ids, given)
    return Json(reply, headers={"x-request-id": given})
