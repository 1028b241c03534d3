"""What people report: whether a risk was right, and what happened to an account."""

from starlette.requests import Request

from serving.api.endpoint import endpoint, get_context, get_reply, run_in_pool
from serving.handlers.feedback import save_feedback, save_outcomes
from serving.schemas.requests import FeedbackRequest, OutcomesRequest
from serving.schemas.responses import FeedbackResponse, OutcomesResponse


@endpoint("POST", "/feedback", scope="feedback", errors=(404, 422, 503), limits_rows=True)
async def post_feedback(request: Request, body: FeedbackRequest) -> FeedbackResponse:
    """Save whether a risk was right, wrong or already known, and whether to leave the account alone."""
    context, reply = get_context(request), get_reply(request)
    return await run_in_pool(request, context.pools.ledger, 1, save_feedback, context, body, reply)


@endpoint("POST", "/outcomes", scope="feedback", limits_rows=True)
async def post_outcomes(request: Request, body: OutcomesRequest) -> OutcomesResponse:
    """Save which accounts left, stayed or contracted, for the next time labels are built."""
    context, accounts, reply = get_context(request), len(body.outcomes), get_reply(request)
    return await run_in_pool(request, context.pools.ledger, accounts, save_outcomes, context, body, reply)


ENDPOINTS = (post_feedback, post_outcomes)
