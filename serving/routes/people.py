"""Routes by which people talk back: whether a risk was right, and what became of an account."""

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from serving import hearing
from serving.replies import FeedbackReply, OutcomesReply
from serving.requests import FeedbackRequest, OutcomesRequest
from serving.routes.declaration import Json, apart, declared, desk_of, read

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
