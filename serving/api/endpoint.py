"""Declares a route in one place: its scope, its body, its query, its response and its errors.

The body, the query and the response are the annotations of the function, so that the OpenAPI document, the checks and
the code cannot disagree:

    @endpoint("POST", "/score", scope="score")
    async def post_score(request: Request, body: ScoreRequest, query: PastQuery) -> ScoreResponse: ...
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Mapping
from typing import Any, ParamSpec, TypeVar, get_type_hints

from pydantic import BaseModel, TypeAdapter, ValidationError
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import Receive

from configs.errors import ConfigError, NotReady, RequestError
from configs.validation import describe_validation_error
from serving.accounts.portfolio import Portfolio
from serving.api.bodies import parse_body, read_bytes, require_json
from serving.api.responses import JsonResponse
from serving.handlers.context import ServiceContext
from serving.handlers.owner_limits import limit_to_owner, require_owned_accounts
from serving.load.pending_reply import PendingReply
from serving.load.thread_pools import ThreadPool
from serving.schemas.enums import Scope
from serving.schemas.requests import AccountId, Query

Handler = Callable[..., Awaitable[object]]
Parameters = ParamSpec("Parameters")
Result = TypeVar("Result")
PATH_ACCOUNT_ID = TypeAdapter(AccountId)
PORTFOLIO_WAIT_SHARE = 0.8  # of the time that a request may take


class Endpoint(Route):
    """A route with what it declares."""

    scope: Scope
    limits_rows = False

    def __init__(
        self, method: str, path: str, handler: Handler, *, scope: Scope | None, errors: tuple[int, ...]
    ) -> None:
        if scope is None:
            raise ConfigError(f"{method} {path} declares no scope.", "Pass `scope=` to @endpoint.")
        hints = get_type_hints(handler)
        self.method, self.handler, self.scope, self.errors = method, handler, scope, errors
        self.body, self.query, self.response = hints.get("body"), hints.get("query"), hints["return"]
        super().__init__(path, self.respond, methods=[method], name=handler.__name__)

    async def respond(self, request: Request) -> Response:
        """Read what the handler takes, call it, and write what it returns."""
        request.scope["route_template"] = f"{request.scope.get('root_path', '')}{self.path_format}"
        arguments: dict[str, Any] = {name: read_account_id(text) for name, text in request.path_params.items()}
        if self.query:
            arguments["query"] = _read_query(request, self.query)
        if self.body:
            require_json(request.headers.get("content-type", ""))
            max_bytes = get_context(request).settings.serving.max_body_bytes
            arguments["body"] = parse_body(await read_bytes(request.receive, max_bytes), self.body)
        await require_owned(request, arguments)
        return JsonResponse(await self.handler(request, **arguments))


def endpoint(
    method: str,
    path: str,
    *,
    scope: Scope | None = None,
    errors: tuple[int, ...] = (422, 503),
    limits_rows: bool = False,
) -> Callable[[Handler], Endpoint]:
    """Make a function an endpoint. `errors` are the HTTP statuses in the OpenAPI document.

    `limits_rows` promises that it reads accounts from the request's context only, so that a key which is limited to an
    owner's accounts may use it; without the promise it may not.
    Raises ConfigError if no scope is declared.
    """

    def declare(handler: Handler) -> Endpoint:
        route = Endpoint(method, path, handler, scope=scope, errors=errors)
        route.limits_rows = limits_rows
        return route

    return declare


def get_context(request: Request) -> ServiceContext:
    """The context of this process; it knows only an owner's accounts if the key is limited to them."""
    context: ServiceContext = request.app.state.get_context()
    owner = request.scope.get("oarlock.owner")
    return context if owner is None else limit_to_owner(context, owner)


def get_request_id(request: Request) -> str:
    """The request's id, which `RequestIdMiddleware` set."""
    return request.scope["oarlock.request_id"]


def get_reply(request: Request) -> PendingReply:
    """The reply to a request, which `DeadlineMiddleware` abandons if it takes too long."""
    return request.scope.get("oarlock.reply") or PendingReply()


async def run_in_pool(
    request: Request,
    pool: ThreadPool,
    accounts: int,
    function: Callable[Parameters, Result],
    *args: Parameters.args,
    **kwargs: Parameters.kwargs,
) -> Result:
    """Call a function that blocks, about so many accounts, in one of the context's pools.

    Raises Overloaded if the pool has too much work, ClientDisconnect if the client goes away first.
    """
    work = asyncio.ensure_future(pool.run(accounts, function, *args, **kwargs))
    disconnect = asyncio.ensure_future(_wait_for_disconnect(request.receive))
    try:
        await asyncio.wait({work, disconnect}, return_when=asyncio.FIRST_COMPLETED)
        if not work.done() and get_reply(request).abandon():
            raise ClientDisconnect
        return await work
    finally:
        disconnect.cancel()
        work.cancel()


async def wait_for_portfolio(request: Request) -> Portfolio:
    """The portfolio; waits a few seconds if it is being computed, and then raises NotReady."""
    context = get_context(request)
    current = await run_in_pool(request, context.pools.local, 1, context.portfolios.current)
    if isinstance(current, Portfolio):
        return current
    seconds = PORTFOLIO_WAIT_SHARE * context.settings.serving.request_timeout_seconds
    try:
        return await asyncio.wait_for(asyncio.shield(asyncio.wrap_future(current)), seconds)
    except TimeoutError:
        raise NotReady("The portfolio is being computed.", "Try again in a few seconds.") from None


async def require_owned(request: Request, arguments: Mapping[str, object]) -> None:
    """Raise RequestError (404) if a limited key names an account of another owner, in the path or in the body."""
    if request.scope.get("oarlock.owner") is not None:
        context, named = get_context(request), list(named_accounts(arguments))
        await run_in_pool(request, context.pools.local, len(named), require_owned_accounts, context, named)


def named_accounts(arguments: object) -> Iterator[str]:
    """Every account that a request names: in `account_id` and `account_ids`, at any depth.

    >>> list(named_accounts({"account_id": "a", "body": {"outcomes": [{"account_id": "b"}], "note": "c"}}))
    ['a', 'b']
    """
    if isinstance(arguments, BaseModel):
        arguments = dict(arguments)
    if isinstance(arguments, Mapping):
        for name, value in arguments.items():
            if name == "account_id" and isinstance(value, str):
                yield value
            elif name == "account_ids" and isinstance(value, list):
                yield from map(str, value)
            else:
                yield from named_accounts(value)
    elif isinstance(arguments, list | tuple):
        for value in arguments:
            yield from named_accounts(value)


async def _wait_for_disconnect(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


def _read_query(request: Request, model: type[Query]) -> Query:
    try:
        return model.model_validate(dict(request.query_params) if request.scope["query_string"] else {})
    except ValidationError as error:
        hint = "GET /v1/openapi.json lists the parameters."
        raise RequestError(f"{describe_validation_error(error)}.", hint, code="invalid", status=422) from None


def read_account_id(text: str) -> str:
    """The id of an account in a path; raises RequestError (422) if it is in another form."""
    try:
        return PATH_ACCOUNT_ID.validate_python(text)
    except ValidationError as error:
        message = f"account_id: {describe_validation_error(error)}."
        raise RequestError(message, "GET /v1/accounts lists the ids.", code="invalid", status=422) from None
