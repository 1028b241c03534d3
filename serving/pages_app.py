"""The pages: their application, and the middleware that hands it the requests that are for it."""

import sqlite3
from collections.abc import Callable

from sqlalchemy.exc import DBAPIError
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from configs.errors import BeingComputed, OarlockError, RequestError
from serving.api.errors import describe_error, error_response
from serving.api.middleware.response_headers import add_missing_headers
from serving.pages import disagreement_page, model_page, monitoring_page, sign_in, work_list_page
from serving.pages.account import account_page, what_if_page
from serving.pages.page import Page, PageServices
from serving.pages.portfolio import portfolio_page, saved_views_page
from serving.pages.rendering import ICON, PageFrame, read_style, render
from serving.pages.retention import outcomes_page, retention_page
from serving.security.authorization import SECURITY_HEADERS

PAGES: tuple[Page, ...] = (
    portfolio_page.get_portfolio, saved_views_page.post_view,
    account_page.post_account_feedback, what_if_page.get_what_if, account_page.get_account,
    work_list_page.get_work_list_page, disagreement_page.get_disagreements, retention_page.get_retention,
    outcomes_page.get_outcomes, model_page.get_model_page, monitoring_page.get_monitoring,
    sign_in.get_sign_in, sign_in.post_sign_in, sign_in.post_sign_out,
)  # fmt: skip
STYLE_PATH, ICON_PATH = "/style.css", "/icon.svg"
FILE_HEADERS = {"cache-control": "public, max-age=31536000, immutable"}
PAGE_HEADERS = {
    **SECURITY_HEADERS,
    # Without any referrer a browser sends the forms of a page with the origin "null", as those of another site.
    b"referrer-policy": b"same-origin",
    b"content-security-policy": (
        b"default-src 'none'; style-src 'self'; img-src 'self'; form-action 'self'; base-uri 'none';"
        b" frame-ancestors 'none'"
    ),
    b"cross-origin-opener-policy": b"same-origin",
    b"cross-origin-resource-policy": b"same-origin",
}
HANDLED_ERRORS = (OarlockError, HTTPException, DBAPIError, sqlite3.Error, Exception)


def create_pages(get_services: Callable[[], PageServices]) -> Starlette:
    """The application of the pages; `get_services` gives what this process answers from when a request needs it."""
    files = [Route(STYLE_PATH, _get_style), Route(ICON_PATH, _get_icon)]
    app = Starlette(routes=[*PAGES, *files], exception_handlers=dict.fromkeys(HANDLED_ERRORS, _show_error))
    app.state.get_services = get_services
    app.state.get_context = lambda: get_services().context
    return app


class PagesMiddleware:
    """The ASGI middleware that answers the pages, and passes every other request on."""

    def __init__(self, app: ASGIApp, pages: ASGIApp) -> None:
        self.app, self.pages = app, pages

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer with a page, or pass the request on."""
        if scope["type"] != "http" or not is_page(scope["path"]):
            await self.app(scope, receive, send)
            return
        await self.pages(scope, receive, add_missing_headers(send, PAGE_HEADERS))


def is_page(path: str) -> bool:
    """Whether a page answers at this path.

    >>> is_page("/"), is_page("/accounts/7"), is_page("/v1/accounts")
    (True, True, False)
    """
    return path in PAGE_PATHS or path.startswith("/accounts/")


PAGE_PATHS = frozenset({STYLE_PATH, ICON_PATH, *(route.path for route in PAGES)})


async def _get_style(_: Request) -> Response:
    return Response(read_style(), media_type="text/css", headers=FILE_HEADERS)


async def _get_icon(_: Request) -> Response:
    return Response(ICON, media_type="image/svg+xml", headers=FILE_HEADERS)


async def _show_error(request: Request, error: Exception) -> Response:
    """A page, or JSON where that was asked for, that says what is wrong and what to do next."""
    described: OarlockError = describe_error(request, error)
    if isinstance(error, HTTPException):
        described = RequestError("There is no such page.", "Start at the portfolio.", code="not_found", status=404)
    if request.query_params.get("format") == "json":
        return error_response(described)
    address = f"{request.url.path}?{request.url.query}" if isinstance(described, BeingComputed) else None
    page = render("error.html.jinja", PageFrame(request.url.path), {"error": described, "address": address})
    return HTMLResponse(page, described.status, _retry_headers(described))


def _retry_headers(error: OarlockError) -> dict[str, str]:
    """When to ask again; a browser does so by itself for what is being computed, also without scripts."""
    seconds = error.retry_after_seconds
    if seconds is None:
        return {}
    return {"retry-after": str(seconds)} | ({"refresh": str(seconds)} if isinstance(error, BeingComputed) else {})
