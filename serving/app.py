"""The HTTP API: every endpoint, its OpenAPI document, and one shape for every error."""

import sqlite3
from collections.abc import Callable, Sequence

from sqlalchemy.exc import DBAPIError
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.routing import BaseRoute

from configs.errors import OarlockError
from configs.files import JsonObject
from serving.api.endpoint import endpoint
from serving.api.errors import handle_error
from serving.api.openapi import openapi_document
from serving.api.routes import accounts, explanations, feedback, models, scores
from serving.api.scopes import require_scopes
from serving.handlers.context import ServiceContext

PREFIX = "/v1"
ENDPOINTS = (
    *scores.ENDPOINTS, *explanations.ENDPOINTS, *accounts.ENDPOINTS, *feedback.ENDPOINTS, *models.ENDPOINTS,
)  # fmt: skip
HANDLED_ERRORS = (OarlockError, HTTPException, DBAPIError, sqlite3.Error, Exception)


@endpoint("GET", "/openapi.json", scope="read")
async def get_openapi(_: Request) -> JsonObject:
    """Return the OpenAPI document."""
    return openapi_document(ENDPOINTS, PREFIX)


def create_app(
    get_context: Callable[[], ServiceContext], routes: Sequence[BaseRoute] = (*ENDPOINTS, get_openapi)
) -> Starlette:
    """The endpoints; `get_context` gives this process's context when a request needs it.

    Raises ConfigError for a route that declares no scope.
    """
    app = Starlette(routes=require_scopes(routes), exception_handlers=dict.fromkeys(HANDLED_ERRORS, handle_error))
    app.state.get_context = get_context
    return app
