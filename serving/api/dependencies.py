"""How a route is declared: what it asks, what it answers and which scope it needs, all of it in the OpenAPI.

Bodies are read here, not by the framework: their bytes are counted while they come, and whatever content type a client
says, a body is JSON.
"""

import asyncio
import json
import uuid
from collections.abc import Callable
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError
from starlette.requests import Request

from configs.errors import NotReady, RequestError
from configs.settings import describe
from serving.accounts.portfolio import Portfolio
from serving.handlers.context import ServiceContext
from serving.schemas.requests import Request as Body

Asked = TypeVar("Asked", bound=Body)
Told = TypeVar("Told")
PORTFOLIO_TIMEOUT_SECONDS = 4.0  # less than what BentoML gives a request


def get_context(request: Request) -> ServiceContext:
    """This process's desk."""
    return request.app.state.desk()


async def read_body(request: Request, model: type[Asked]) -> Asked:
    """The body as what may be asked; raises RequestError (400, 413, 422) where it is not."""
    body, most = bytearray(), get_context(request).settings.serving.max_body_bytes
    async for chunk in request.stream():
        body += chunk
        if len(body) > most:
            raise RequestError(f"The body is larger than {most} bytes.", "Send less.", code="too_large", status=413)
    try:
        return model.model_validate_json(bytes(body))
    except ValidationError as problem:
        if problem.errors()[0]["type"] == "json_invalid":
            raise RequestError("The body is not JSON.", _example_hint(model), code="not_json") from None
        raise RequestError(f"{describe(problem)}.", _example_hint(model), code="invalid", status=422) from None


async def run_in_thread(question: Callable[..., Told], *words: Any) -> Told:
    """What a question that blocks answers, asked off the event loop."""
    return await asyncio.to_thread(question, *words)


def request_id(request: Request) -> str:
    """The id that the client gave the request, or a new one."""
    return request.headers.get("x-request-id", "")[:64] or uuid.uuid4().hex


async def wait_for_portfolio(desk: ServiceContext) -> Portfolio:
    """The portfolio, waited for a little where none is there yet; raises NotReady where that was not enough."""
    found = await run_in_thread(desk.portfolios.now)
    if isinstance(found, Portfolio):
        return found
    try:
        return await asyncio.wait_for(asyncio.shield(asyncio.wrap_future(found)), PORTFOLIO_TIMEOUT_SECONDS)
    except TimeoutError:
        raise NotReady("The portfolio is being computed.", "Try again in a few seconds.") from None


def _example_hint(model: type[BaseModel]) -> str:
    fields = {name: field for name, field in model.model_fields.items() if field.is_required()}
    shown = {name: field.examples[0] for name, field in fields.items() if field.examples}
    return f"Send {json.dumps({name: _example_value(value, name) for name, value in shown.items()})}."


def _example_value(example: Any, name: str) -> Any:
    return [example] if name == "account_ids" and isinstance(example, str) else example
