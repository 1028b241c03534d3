"""Routes by which people talk back: whether a risk was right, and what became of an account."""

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from serving.api.dependencies import apart, desk_of, read
from serving.api.openapi import declared
from serving.api.responses import Json
from serving.handlers import feedback as hearing
from serving.schemas.requests import FeedbackRequest, OutcomesRequest
from serving.schemas.responses import FeedbackReply, OutcomesReply

ROUTES = APIRouter()


@ROUTES.post(
    "/feedback", **declared(scope="feedback", asks=FeedbackRequest, answers=FeedbackReply, refuses=(404, 422, 503))
)
async def post_feedback(request: Request) -> Response:
    """Keep whether a risk was right, wrong or already known, and how the account is to be treated."""
    asked = await read(request, FeedbackRequest)
    return Json(await apart(hearing.hear_feedback, desk_of(request), asked))


@ROUTES.post("/outcomes", **declared(scope="feedback", asks=OutcomesRequest, answers=OutcomesReply))
async def post_outcomes(request: Request) -> Response:
    """Keep which accounts left, stayed or contracted, for the next label build."""
    asked = await read(request, OutcomesRequest)
    return Json(await apart(hearing.hear_outcomes, desk_of(request), asked))
