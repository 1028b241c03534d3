"""What people report: whether a risk was right, and what happened to an account."""

from starlette.requests import Request

from serving.api.endpoint import endpoint, get_context, run_in_thread
from serving.handlers.feedback import save_feedback, save_outcomes
from serving.schemas.requests import FeedbackRequest, OutcomesRequest
from serving.schemas.responses import FeedbackResponse, OutcomesResponse


@endpoint("POST", "/feedback", scope="feedback", errors=(404, 422, 503))
async def post_feedback(request: Request, body: FeedbackRequest) -> FeedbackResponse:
    """Save whether a risk was right, wrong or already known, and whether to leave the account alone."""
    return await run_in_thread(save_feedback, get_context(request), body)


@endpoint("POST", "/outcomes", scope="feedback")
async def post_outcomes(request: Request, body: OutcomesRequest) -> OutcomesResponse:
    """Save which accounts left, stayed or contracted, for the next time labels are built."""
    return await run_in_thread(save_outcomes, get_context(request), body)


ENDPOINTS = (post_feedback, post_outcomes)
