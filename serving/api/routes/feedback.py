"""Routes by which people talk back: whether a risk was right, and what became of an account."""

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from serving.api.dependencies import get_context, read_body, run_in_thread
from serving.api.openapi import declare_route
from serving.api.responses import OrjsonResponse
from serving.handlers import feedback as hearing
from serving.schemas.requests import FeedbackRequest, OutcomesRequest
from serving.schemas.responses import FeedbackResponse, OutcomesResponse

ROUTES = APIRouter()


@ROUTES.post(
    "/feedback",
    **declare_route(scope="feedback", asks=FeedbackRequest, answers=FeedbackResponse, refuses=(404, 422, 503)),
)
async def post_feedback(request: Request) -> Response:
    """Keep whether a risk was right, wrong or already known, and how the account is to be treated."""
    asked = await read_body(request, FeedbackRequest)
    return OrjsonResponse(await run_in_thread(hearing.save_feedback, get_context(request), asked))


@ROUTES.post("/outcomes", **declare_route(scope="feedback", asks=OutcomesRequest, answers=OutcomesResponse))
async def post_outcomes(request: Request) -> Response:
    """Keep which accounts left, stayed or contracted, for the next label build."""
    asked = await read_body(request, OutcomesRequest)
    return OrjsonResponse(await run_in_thread(hearing.save_outcomes, get_context(request), asked))
