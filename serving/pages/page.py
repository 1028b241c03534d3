"""Declares a page in one place: its path, its scope, its query; and checks who asks before it is made.

@page("GET", "/", scope="read")
async def get_portfolio(request: PageRequest, query: PortfolioQuery) -> Response: ...
"""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, ParamSpec, TypeVar, get_type_hints
from urllib.parse import parse_qsl, quote

from pydantic import BaseModel, ValidationError
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response
from starlette.routing import Route

from configs.errors import RequestError
from configs.validation import describe_validation_error
from serving.api.bodies import read_bytes
from serving.api.endpoint import get_context, get_reply, get_request_id, require_owned, run_in_pool
from serving.handlers.context import ServiceContext
from serving.handlers.score import ScoringRequest
from serving.pages.rendering import PageFrame, render
from serving.schemas.enums import Scope
from serving.schemas.page_queries import PAGE_FORM_TOKEN
from serving.security.api_keys import ApiKey
from serving.security.authorization import (
    NO_KEY,
    Authorizer,
    Permission,
    bearer_token,
    not_signed_in,
    require_unlimited,
)
from serving.security.peer import asking_address
from serving.security.sessions import Session, SessionSigner
from serving.views.disagreement_view import RatedAccounts, RatingKey
from serving.views.recent_views import RecentViews
from serving.views.retention_key import RetentionKey
from serving.views.retention_view import RetentionView

COOKIE = "oarlock_session"
MAX_FORM_BYTES = 20_000
MAX_RATINGS = 4  # each has a row per account
SIGN_IN_PATH = "/sign-in"
SIGN_IN_STATUS = 303
Parameters = ParamSpec("Parameters")
Result = TypeVar("Result")
PageHandler = Callable[..., Awaitable[Response]]


@dataclass(frozen=True)
class PageServices:
    """What the pages of one process answer from."""

    context: ServiceContext
    authorizer: Authorizer
    signer: SessionSigner
    retention: RecentViews[RetentionKey, RetentionView] = field(
        default_factory=RecentViews[RetentionKey, RetentionView], repr=False
    )
    ratings: RecentViews[RatingKey, RatedAccounts] = field(
        default_factory=lambda: RecentViews[RatingKey, RatedAccounts](MAX_RATINGS), repr=False
    )


@dataclass(frozen=True)
class PageRequest:
    """A request for a page by someone who may see it; `key` is None while no key exists."""

    http: Request
    services: PageServices
    session: Session
    key: ApiKey | None

    @cached_property
    def context(self) -> ServiceContext:
        """What the page is made from; it knows only an owner's accounts if the key is limited to them."""
        return get_context(self.http)

    @property
    def viewing(self) -> ScoringRequest:
        """What is recorded of risks that a person looks at."""
        return ScoringRequest(get_request_id(self.http), "viewed", get_reply(self.http))

    async def run(
        self, accounts: int, function: Callable[Parameters, Result], *args: Parameters.args, **kwargs: Parameters.kwargs
    ) -> Result:
        """Call a function that blocks, about so many accounts, off the event loop."""
        pool = self.context.pools.ledger
        # What a page needs of all accounts is computed once for each publication.
        return await run_in_pool(self.http, pool, pool.leave_room(accounts), function, *args, **kwargs)

    @cached_property
    def may_write(self) -> bool:
        """Whether feedback may be given."""
        return self.key is None or self.key.has_scope("feedback")

    @property
    def signed_in_as(self) -> str | None:
        return self.key.name if self.key else None

    @property
    def form_token(self) -> str:
        return self.services.signer.form_token(self.session)

    def render(self, template: str, values: Mapping[str, object], status: int = 200) -> Response:
        """A page with the frame of the person who is signed in."""
        frame = PageFrame(self.http.url.path, self.signed_in_as, self.form_token, self.may_write)
        return HTMLResponse(render(template, frame, values), status)


class Page(Route):
    """A route of a page with what it declares; a scope of None lets everyone in."""

    scope: Scope | None

    def __init__(self, method: str, path: str, handler: PageHandler, *, scope: Scope | None, limits_rows: bool) -> None:
        hints = get_type_hints(handler)
        self.method, self.handler, self.scope, self.query = method, handler, scope, hints.get("query")
        self.limits_rows = limits_rows or scope is None
        super().__init__(path, self.respond, methods=[method], name=handler.__name__)

    async def respond(self, request: Request) -> Response:
        """Check who asks, read the query and the form, and make the page."""
        request.scope["route_template"] = self.path_format
        services: PageServices = request.app.state.get_services()
        session = services.signer.from_cookie(request.cookies.get(COOKIE, "")) or services.signer.open()
        try:
            permission = self._authorize(request, services, session)
            key = _require_key(services, permission)
            request.scope["oarlock.owner"] = permission.owner
            if not self.limits_rows:
                require_unlimited(request.scope["oarlock.owner"])
            page_request = PageRequest(request, services, session, key)
        except RequestError as error:
            if error.status == 401 and self.method == "GET":
                return redirect_to_sign_in(request)
            raise
        arguments: dict[str, Any] = dict(request.path_params)
        if self.query:
            arguments["query"] = read_query(dict(request.query_params), self.query)
        if self.method == "POST":
            arguments["form"] = await _read_form(request, services.signer, session)
        await require_owned(request, arguments)
        response = await self.handler(page_request, **arguments)
        if COOKIE not in request.cookies and "set-cookie" not in response.headers:
            set_session(request, response, session, services.signer)
        return response

    def _authorize(self, request: Request, services: PageServices, session: Session) -> Permission:
        if self.scope is None:
            return NO_KEY
        headers = dict(request.scope["headers"])
        address, path = asking_address(request.scope), self.path_format
        if bearer_token(headers) and self.method == "GET":
            return services.authorizer.authorize(self.scope, path, headers, address)
        return services.authorizer.authorize_session(session.key_id, self.scope, path, headers, address=address)


def page(method: str, path: str, *, scope: Scope | None, limits_rows: bool = False) -> Callable[[PageHandler], Page]:
    """Make a function a page. A key that is limited to an owner's accounts may open it if it `limits_rows`.

    That promises that it reads accounts from the context of the request only.
    """
    return lambda handler: Page(method, path, handler, scope=scope, limits_rows=limits_rows)


def read_query(values: dict[str, str], model: type[BaseModel]) -> Any:
    """The query; a form sends empty fields, which ask for nothing. Raises RequestError (422) if it is not valid."""
    try:
        return model.model_validate({name: text for name, text in values.items() if text})
    except ValidationError as error:
        message = f"The address is not valid: {describe_validation_error(error)}."
        raise RequestError(message, "Correct it, or start at the portfolio.", code="invalid", status=422) from None


def set_session(request: Request, response: Response, session: Session, signer: SessionSigner) -> None:
    """Set the session's cookie: no script can read it, and no page of another site can make the browser send it."""
    seconds = max(int((session.ends_at - signer.clock()).total_seconds()), 0)
    is_secure = request.url.scheme == "https"
    cookie = signer.to_cookie(session)
    response.set_cookie(COOKIE, cookie, seconds, path="/", secure=is_secure, httponly=True, samesite="strict")


def redirect_to_sign_in(request: Request) -> Response:
    """A redirect to the sign-in page, which leads back."""
    target = request.url.path + (f"?{request.url.query}" if request.url.query else "")
    return RedirectResponse(f"{SIGN_IN_PATH}?next={quote(target, safe='')}", SIGN_IN_STATUS)


def _require_key(services: PageServices, permission: Permission) -> ApiKey | None:
    """The key of a permission; None if it needs none. Raises RequestError (401) if the key has gone since."""
    if not permission.key_id:
        return None
    key = services.authorizer.key_cache.keys().get(permission.key_id)
    if key is None:
        raise not_signed_in()
    return key


async def _read_form(request: Request, signer: SessionSigner, session: Session) -> dict[str, str]:
    """The fields of a form; raises RequestError (403) if no page of this session sent it."""
    body = await read_bytes(request.receive, MAX_FORM_BYTES)
    fields = dict(parse_qsl(body.decode("utf-8", "replace"), keep_blank_values=True))
    signer.require_form_token(session, fields.pop(PAGE_FORM_TOKEN, ""))
    return fields
