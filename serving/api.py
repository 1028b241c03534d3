"""The HTTP interface: what may be asked, and one shape for every error, whatever went wrong.

Every error answers `{"error": {"code", "message", "hint"}}`.
"""

import asyncio
import json
import logging
import uuid
from collections.abc import Awaitable, Callable
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Match, Route

from configs.errors import OarlockError, RequestError
from configs.settings import describe as describe_problem
from serving.engine import Engine, describe

LOG = logging.getLogger("oarlock.api")
MOST_ID_CHARACTERS = 200
METHODS = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"]
Answer = Callable[[Request], Awaitable[Response]]
AccountId = Annotated[str, StringConstraints(min_length=1, max_length=MOST_ID_CHARACTERS)]


class ScoreRequest(BaseModel):
    """Which accounts to score, and how many drivers to name in each direction."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    account_ids: Annotated[list[AccountId], Field(min_length=1)]
    drivers: Annotated[int, Field(ge=0, le=50)] = 3


def create_app(engine: Callable[[], Engine]) -> Starlette:
    """The routes under /v1; `engine` gives this process's engine when a request needs it."""

    async def post_score(request: Request) -> Response:
        asked = await _read(request, engine().settings.serving.most_bytes)
        _refuse_too_many(asked, engine().settings.serving.most_accounts)
        request_id = request.headers.get("x-request-id", "")[:64] or uuid.uuid4().hex
        # Reading and scoring block: off the event loop they leave it free to take other requests.
        reply = await asyncio.to_thread(engine().score, asked.account_ids, asked.drivers, request_id)
        return JSONResponse(reply, headers={"x-request-id": request_id})

    async def get_model(request: Request) -> Response:
        del request
        champion = await asyncio.to_thread(engine().champion)
        return JSONResponse(describe(champion))

    async def get_ready(request: Request) -> Response:
        del request
        await asyncio.to_thread(engine().ready)
        return JSONResponse({"ready": True})

    routes = [
        Route("/score", post_score, methods=["POST"]),
        Route("/model", get_model),
        Route("/ready", get_ready),
    ]

    async def get_elsewhere(request: Request) -> Response:
        known = any(route.matches(request.scope)[0] is Match.PARTIAL for route in routes)
        raise HTTPException(405 if known else 404)

    # Mounted, a path that no route here takes would be answered by the app around this one, in its own words.
    return Starlette(
        routes=[*routes, Route("/{path:path}", get_elsewhere, methods=METHODS)],
        exception_handlers={OarlockError: _refused, HTTPException: _not_served, Exception: _broken},
    )


async def _read(request: Request, most_bytes: int) -> ScoreRequest:
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > most_bytes:
            raise RequestError(
                f"The body is larger than {most_bytes} bytes.", "Send fewer ids.", code="too_large", status=413
            )
    try:
        content = json.loads(body)
    except ValueError:
        raise RequestError("The body is not JSON.", 'Send {"account_ids": ["..."]}.', code="not_json") from None
    try:
        return ScoreRequest.model_validate(content)
    except ValidationError as problem:
        hint = 'Send {"account_ids": ["..."], "drivers": 3}.'
        raise RequestError(f"{describe_problem(problem)}.", hint, code="invalid", status=422) from None


def _refuse_too_many(asked: ScoreRequest, most: int) -> None:
    if len(asked.account_ids) > most:
        message = f"{len(asked.account_ids)} account_ids are more than the {most} one request may ask for."
        raise RequestError(message, "Split the request.", code="too_many", status=422)


def _error(status: int, code: str, message: str, hint: str = "") -> JSONResponse:
    return JSONResponse({"error": {"code": code, "message": message, "hint": hint}}, status)


async def _refused(_: Request, problem: Any) -> Response:
    return _error(problem.status, problem.code, problem.message, problem.hint)


async def _not_served(request: Request, problem: Any) -> Response:
    codes = {404: "not_found", 405: "method_not_allowed"}
    message = f"{request.method} {request.url.path} is not served: {problem.detail}."
    hint = "POST /v1/score, GET /v1/model and GET /v1/ready are."
    return _error(problem.status_code, codes.get(problem.status_code, "http_error"), message, hint)


async def _broken(_: Request, problem: Any) -> Response:
    LOG.error("a request failed", exc_info=problem)
    return _error(500, "internal", "Something went wrong on our side.", "The log has the details; try again.")
