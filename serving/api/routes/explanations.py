"""Routes that compare risks: why one moved between two days, and what the model says of other signals."""

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from serving.api.dependencies import apart, desk_of, portfolio_of, read
from serving.api.openapi import declared
from serving.api.responses import Json
from serving.handlers import what_if as trying
from serving.handlers.risk_change import causes
from serving.schemas.requests import ChangeRequest, WhatIfRequest
from serving.schemas.responses import ChangeReply, WhatIfReply

ROUTES = APIRouter()


@ROUTES.post("/change", **declared(scope="score", asks=ChangeRequest, answers=ChangeReply))
async def post_change(request: Request) -> Response:
    """Split the change of risks between two days: signals moved, model changed, calibration changed; it adds up."""
    asked = await read(request, ChangeRequest)
    return Json(await apart(causes, desk_of(request), asked))


@ROUTES.post("/what_if", **declared(scope="score", asks=WhatIfRequest, answers=WhatIfReply, refuses=(404, 422, 503)))
async def post_what_if(request: Request) -> Response:
    """Ask the model of an account with some actionable signals changed, within what its segment shows. Not causal."""
    asked, desk = await read(request, WhatIfRequest), desk_of(request)
    return Json(await apart(trying.what_if, desk, await portfolio_of(desk), asked))
