"""The models, and whether risks can be computed."""

from starlette.requests import Request

from serving.api.endpoint import endpoint, get_context, run_in_pool
from serving.schemas.responses import ModelResponse, ModelsResponse, ReadyResponse


@endpoint("GET", "/model", scope="read", errors=(503,), limits_rows=True)
async def get_model(request: Request) -> ModelResponse:
    """Return the champion, and the version that was promoted after it and refused."""
    context = get_context(request)
    return await run_in_pool(request, context.pools.local, 1, context.champions.status)


@endpoint("GET", "/models", scope="read", errors=(503,))
async def get_models(request: Request) -> ModelsResponse:
    """List every registered version, newest first."""
    context = get_context(request)
    return await run_in_pool(request, context.pools.local, 1, context.champions.list_versions)


@endpoint("GET", "/ready", scope="public", errors=(503,))
async def get_ready(request: Request) -> ReadyResponse:
    """Check that risks can be computed: a champion, its published signals, and background work that runs."""
    context = get_context(request)
    await run_in_pool(request, context.pools.local, 1, context.check_ready)
    return {"ready": True}


ENDPOINTS = (get_model, get_models, get_ready)
