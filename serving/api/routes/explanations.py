"""Why risks changed, and what the model gives to changed signals."""

from starlette.requests import Request

from serving.api.endpoint import endpoint, get_context, run_in_pool, wait_for_portfolio
from serving.handlers.risk_change import explain_changes
from serving.handlers.what_if import evaluate_what_if
from serving.schemas.requests import ChangeRequest, WhatIfRequest
from serving.schemas.responses import ChangeResponse, WhatIfResponse


@endpoint("POST", "/change", scope="score", limits_rows=True)
async def post_change(request: Request, body: ChangeRequest) -> ChangeResponse:
    """Split the change of risks between two days into changed signals, a changed model and a changed calibration."""
    context, accounts = get_context(request), len(body.account_ids)
    return await run_in_pool(request, context.pools.ledger, accounts, explain_changes, context, body)


@endpoint("POST", "/what-if", scope="score", errors=(404, 422, 503), limits_rows=True)
async def post_what_if(request: Request, body: WhatIfRequest) -> WhatIfResponse:
    """Return the risk with some actionable signals changed, within the range of the segment. Not causal."""
    context, portfolio = get_context(request), await wait_for_portfolio(request)
    return await run_in_pool(request, context.pools.scoring, 1, evaluate_what_if, context, portfolio, body)


ENDPOINTS = (post_change, post_what_if)
