"""Routes that compare risks: why one moved between two days, and what the model says of other signals."""

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from serving.api.dependencies import get_context, read_body, run_in_thread, wait_for_portfolio
from serving.api.openapi import declare_route
from serving.api.responses import OrjsonResponse
from serving.handlers import what_if as trying
from serving.handlers.risk_change import explain_changes
from serving.schemas.requests import ChangeRequest, WhatIfRequest
from serving.schemas.responses import ChangeResponse, WhatIfResponse

ROUTES = APIRouter()


@ROUTES.post("/change", **declare_route(scope="score", asks=ChangeRequest, answers=ChangeResponse))
async def post_change(request: Request) -> Response:
    """Split the change of risks between two days: signals moved, model changed, calibration changed; it adds up."""
    asked = await read_body(request, ChangeRequest)
    return OrjsonResponse(await run_in_thread(explain_changes, get_context(request), asked))


@ROUTES.post(
    "/what_if", **declare_route(scope="score", asks=WhatIfRequest, answers=WhatIfResponse, refuses=(404, 422, 503))
)
async def post_what_if(request: Request) -> Response:
    """Ask the model of an account with some actionable signals changed, within what its segment shows. Not causal."""
    asked, desk = await read_body(request, WhatIfRequest), get_context(request)
    return OrjsonResponse(await run_in_thread(trying.evaluate_what_if, desk, await wait_for_portfolio(desk), asked))
