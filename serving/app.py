"""The HTTP API: every endpoint, its OpenAPI document, and one shape for every error."""

import sqlite3
from collections.abc import Callable, Sequence

from sqlalchemy.exc import DBAPIError
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Match, Route

from configs.errors import OarlockError
from configs.files import JsonObject
from serving.api.endpoint import endpoint
from serving.api.errors import handle_error
from serving.api.openapi import openapi_document
from serving.api.routes import accounts, explanations, feedback, models, scores
from serving.api.scopes import require_scopes
from serving.handlers.context import ServiceContext

PREFIX = "/v1"
METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")
ENDPOINTS = (
    *scores.ENDPOINTS, *explanations.ENDPOINTS, *accounts.ENDPOINTS, *feedback.ENDPOINTS, *models.ENDPOINTS,
)  # fmt: skip
HANDLED_ERRORS = (OarlockError, HTTPException, ClientDisconnect, DBAPIError, sqlite3.Error, Exception)


@endpoint("GET", "/openapi.json", scope="read", limits_rows=True)
async def get_openapi(_: Request) -> JsonObject:
    """Return the OpenAPI document."""
    return openapi_document(ENDPOINTS, PREFIX)


def create_app(
    get_context: Callable[[], ServiceContext], routes: Sequence[BaseRoute] = (*ENDPOINTS, get_openapi)
) -> Starlette:
    """The endpoints; `get_context` gives this process's context when a request needs it.

    Raises ConfigError for a route that declares no scope.
    """
    endpoints = require_scopes(routes)

    async def refuse(request: Request) -> Response:
        methods = {route.method for route in endpoints if route.matches(request.scope)[0] is Match.PARTIAL}
        raise HTTPException(405, headers={"allow": ", ".join(sorted(methods))}) if methods else HTTPException(404)

    # BentoML passes a path that this app does not match on to its own routes, which answer errors in another shape.
    app = Starlette(
        routes=[*endpoints, Route("/{path:path}", refuse, methods=METHODS)],
        exception_handlers=dict.fromkeys(HANDLED_ERRORS, handle_error),
    )
    app.state.get_context = get_context
    return app
