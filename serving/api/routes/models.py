"""Routes about the models: which one answers, which there are, and whether risks can be given at all."""

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from serving.api.dependencies import apart, desk_of
from serving.api.openapi import declared
from serving.api.responses import Json
from serving.schemas.responses import ModelReply, ModelsReply, ReadyReply

ROUTES = APIRouter()


@ROUTES.get("/model", **declared(scope="read", answers=ModelReply, refuses=(503,)))
async def get_model(request: Request) -> Response:
    """Tell which model answers now, and which one was refused since."""
    return Json(await apart(desk_of(request).engine.standing))


@ROUTES.get("/models", **declared(scope="read", answers=ModelsReply, refuses=(503,)))
async def get_models(request: Request) -> Response:
    """List every version that is or was champion here, newest first."""
    return Json(await apart(desk_of(request).engine.models))


@ROUTES.get("/ready", **declared(scope="open", answers=ReadyReply, refuses=(503,)))
async def get_ready(request: Request) -> Response:
    """Tell whether risks can be given: a champion is there, the store is filled and fits it."""
    await apart(desk_of(request).engine.ready)
    return Json({"ready": True})
