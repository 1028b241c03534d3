"""Routes about the models: which one answers, which there are, and whether risks can be given at all."""

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from serving.api.dependencies import get_context, run_in_thread
from serving.api.openapi import declare_route
from serving.api.responses import OrjsonResponse
from serving.schemas.responses import ModelResponse, ModelsResponse, ReadyResponse

ROUTES = APIRouter()


@ROUTES.get("/model", **declare_route(scope="read", answers=ModelResponse, refuses=(503,)))
async def get_model(request: Request) -> Response:
    """Tell which model answers now, and which one was refused since."""
    return OrjsonResponse(await run_in_thread(get_context(request).scorer.champion_status))


@ROUTES.get("/models", **declare_route(scope="read", answers=ModelsResponse, refuses=(503,)))
async def get_models(request: Request) -> Response:
    """List every version that is or was champion here, newest first."""
    return OrjsonResponse(await run_in_thread(get_context(request).scorer.list_versions))


@ROUTES.get("/ready", **declare_route(scope="open", answers=ReadyResponse, refuses=(503,)))
async def get_ready(request: Request) -> Response:
    """Tell whether risks can be given: a champion is there, the store is filled and fits it."""
    await run_in_thread(get_context(request).scorer.ready)
    return OrjsonResponse({"ready": True})
