"""The models, and whether risks can be computed."""

from starlette.requests import Request

from serving.api.endpoint import endpoint, get_context, run_in_thread
from serving.schemas.responses import ModelResponse, ModelsResponse, ReadyResponse


@endpoint("GET", "/model", scope="read", errors=(503,))
async def get_model(request: Request) -> ModelResponse:
    """Return the champion, and the version that was promoted after it and refused."""
    return await run_in_thread(get_context(request).champions.status)


@endpoint("GET", "/models", scope="read", errors=(503,))
async def get_models(request: Request) -> ModelsResponse:
    """List every registered version, newest first."""
    return await run_in_thread(get_context(request).champions.list_versions)


@endpoint("GET", "/ready", scope="public", errors=(503,))
async def get_ready(request: Request) -> ReadyResponse:
    """Check that risks can be computed: a champion, its published signals, and background work that runs."""
    await run_in_thread(get_context(request).check_ready)
    return {"ready": True}


ENDPOINTS = (get_model, get_models, get_ready)
