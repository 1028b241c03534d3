"""How a route is declared: what it asks, what it answers and which scope it needs, all of it in the OpenAPI.

Bodies are read here, not by the framework: their bytes are counted while they come, and whatever content type a client
says, a body is JSON.
"""

import asyncio
import json
import uuid
from collections.abc import Callable, Iterator
from typing import Any, Literal, TypeVar

from fastapi import FastAPI
from fastapi.routing import APIRoute
from pydantic import BaseModel, ValidationError
from starlette.requests import Request
from starlette.responses import Response

from configs.errors import NotReady, RequestError
from configs.settings import describe
from serving.desk import Desk
from serving.portfolio import Portfolio
from serving.replies import ErrorReply, Reply
from serving.requests import (
    ChangeRequest,
    ExplainRequest,
    FeedbackRequest,
    OutcomesRequest,
    ScoreRequest,
    WhatIfRequest,
)
from serving.requests import Request as Body
from serving.written import text_of

Scope = Literal["open", "score", "read", "feedback"]
Asked = TypeVar("Asked", bound=Body)
Told = TypeVar("Told")
REQUEST_MODELS: tuple[type[Body], ...] = (
    ScoreRequest, ExplainRequest, ChangeRequest, WhatIfRequest, FeedbackRequest, OutcomesRequest,
)  # fmt: skip
PATIENCE_SECONDS = 4.0  # less than what BentoML gives a request
REFUSALS = {
    400: "The body is not JSON.",
    404: "There is no such account, or no risk had been given by that day.",
    413: "The body is too large.",
    422: "It is not what may be asked.",
    503: "No risk can be given now: it says why.",
}


def declared(
    *, scope: Scope, answers: type[Reply], asks: type[Body] | None = None, refuses: tuple[int, ...] = (422, 503)
) -> dict[str, Any]:
    """The arguments of a route: its scope, the models of body and reply, and the refusals it knows."""
    extra: dict[str, Any] = {"x-scope": scope}
    if asks is not None:
        refuses = (400, 413, *refuses)
        body = {"application/json": {"schema": {"$ref": f"#/components/schemas/{asks.__name__}"}}}
        extra["requestBody"] = {"required": True, "content": body}
    told = {status: {"model": ErrorReply, "description": REFUSALS[status]} for status in refuses}
    answered = {200: {"model": answers, "description": (answers.__doc__ or "").splitlines()[0]}}
    return {"status_code": 200, "response_class": Json, "responses": answered | told, "openapi_extra": extra}


class Json(Response):
    """A reply whose JSON was written once, from plain values."""

    media_type = "application/json"

    def __init__(self, content: Any, headers: dict[str, str] | None = None) -> None:
        super().__init__(text_of(content), headers=headers)


def routes_of(app: FastAPI) -> Iterator[tuple[APIRoute, str, dict[str, Any]]]:
    """Every declared route with its method and what was declared beside it."""
    for route in app.routes:
        if isinstance(route, APIRoute) and route.include_in_schema:
            yield from ((route, method, route.openapi_extra or {}) for method in sorted(route.methods or ()))


def desk_of(request: Request) -> Desk:
    """This process's desk."""
    return request.app.state.desk()


async def read(request: Request, model: type[Asked]) -> Asked:
    """The body as what may be asked; raises RequestError (400, 413, 422) where it is not."""
    body, most = bytearray(), desk_of(request).settings.serving.most_bytes
    async for chunk in request.stream():
        body += chunk
        if len(body) > most:
            raise RequestError(f"The body is larger than {most} bytes.", "Send less.", code="too_large", status=413)
    try:
        return model.model_validate_json(bytes(body))
    except ValidationError as problem:
        if problem.errors()[0]["type"] == "json_invalid":
            raise RequestError("The body is not JSON.", _example(model), code="not_json") from None
        raise RequestError(f"{describe(problem)}.", _example(model), code="invalid", status=422) from None


async def apart(question: Callable[..., Told], *words: Any) -> Told:
    """What a question that blocks answers, asked off the event loop."""
    return await asyncio.to_thread(question, *words)


def request_id(request: Request) -> str:
    """The id that the client gave the request, or a new one."""
    return request.headers.get("x-request-id", "")[:64] or uuid.uuid4().hex


async def portfolio_of(desk: Desk) -> Portfolio:
    """The portfolio, waited for a little where none is there yet; raises NotReady where that was not enough."""
    found = await apart(desk.portfolios.now)
    if isinstance(found, Portfolio):
        return found
    try:
        return await asyncio.wait_for(asyncio.shield(asyncio.wrap_future(found)), PATIENCE_SECONDS)
    except TimeoutError:
        raise NotReady("The portfolio is being computed.", "Try again in a few seconds.") from None


def _example(model: type[BaseModel]) -> str:
    fields = {name: field for name, field in model.model_fields.items() if field.is_required()}
    shown = {name: field.examples[0] for name, field in fields.items() if field.examples}
    return f"Send {json.dumps({name: _as_sent(value, name) for name, value in shown.items()})}."


def _as_sent(example: Any, name: str) -> Any:
    return [example] if name == "account_ids" and isinstance(example, str) else example
