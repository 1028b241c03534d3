"""The HTTP interface assembled: every route under /v1, its OpenAPI, and one shape for every error.

Every error answers `{"error": {"code", "message", "hint"}}`.
"""

import logging
import sqlite3
from collections.abc import Callable
from typing import Any

from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from sqlalchemy.exc import DBAPIError
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Match, request_response
from starlette.types import Receive, Scope, Send

from configs.errors import OarlockError
from serving.api.openapi import declared_routes, openapi_document
from serving.api.routes import accounts, models, scores
from serving.api.routes import explanations as changes
from serving.api.routes import feedback as people
from serving.handlers.context import ServiceContext

LOG = logging.getLogger("oarlock.api")
METHODS = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"]
SCORE_PATH = "/score"
ERROR_CODES = {404: "not_found", 405: "method_not_allowed"}
DESCRIPTION = """Calibrated churn risks with drivers that add up exactly to the risk. Nothing here is causal.

Every error answers `{"error": {"code", "message", "hint"}}`. A risk that is given is written to the ledger."""


class Api(FastAPI):
    """The routes, with a short way to the one that is asked all day: past what FastAPI does for others to need.

    What a body may hold is checked by the route itself, so nothing is left out; a query goes the long way.
    """

    short = staticmethod(request_response(scores.score_accounts))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or not _takes_fast_path(scope):
            await super().__call__(scope, receive, send)
            return
        scope["route_template"] = f"{scope.get('root_path', '')}{SCORE_PATH}"
        scope["app"], scope["starlette.exception_handlers"] = self, (self.exception_handlers, {})
        await self.short(scope, receive, send)


def create_app(get_worker_context: Callable[[], ServiceContext]) -> Api:
    """The routes under /v1; `desk` gives this process's desk when a request needs it."""
    parts = (scores, changes, accounts, people, models)
    app = Api(
        routes=[route for part in parts for route in part.ROUTES.routes],
        title="Oarlock",
        version="1",
        description=DESCRIPTION,
        docs_url=None,
        redoc_url=None,
        exception_handlers=_exception_handlers(),
    )
    app.state.desk = get_worker_context
    # Mounted, a path that no route here takes would be answered by the app around this one, in its own words.
    app.add_api_route("/{path:path}", _unknown_route, methods=METHODS, include_in_schema=False)
    app.openapi = lambda: openapi_document(app)
    return app


def _takes_fast_path(scope: Scope) -> bool:
    path = scope["path"].removeprefix(scope.get("root_path", ""))
    return scope["method"] == "POST" and not scope["query_string"] and path == SCORE_PATH


def _exception_handlers() -> dict[Any, Any]:
    """What answers for each kind of problem."""
    return {
        OarlockError: _handle_oarlock_error,
        HTTPException: _handle_http_error,
        RequestValidationError: _handle_invalid_query,
        DBAPIError: _handle_database_error,
        sqlite3.Error: _handle_database_error,
        Exception: _handle_unexpected_error,
    }


async def _unknown_route(request: Request) -> Response:
    routes = [route for route, _, _ in declared_routes(request.app)]
    known = any(route.matches(request.scope)[0] is Match.PARTIAL for route in routes)
    raise HTTPException(405 if known else 404)


def _error_response(status: int, code: str, message: str, hint: str = "") -> JSONResponse:
    return JSONResponse({"error": {"code": code, "message": message, "hint": hint}}, status)


async def _handle_oarlock_error(_: Request, problem: Any) -> Response:
    return _error_response(problem.status, problem.code, problem.message, problem.hint)


async def _handle_http_error(request: Request, problem: Any) -> Response:
    message = f"{request.method} {request.url.path} is not served: {problem.detail}."
    code = ERROR_CODES.get(problem.status_code, "http_error")
    return _error_response(problem.status_code, code, message, "GET /v1/openapi.json lists what is.")


async def _handle_invalid_query(_: Request, problem: Any) -> Response:
    first, *others = problem.errors()
    where = ".".join(str(part) for part in first["loc"][1:]) or "the query"
    what = "is not known" if first["type"] == "extra_forbidden" else first["msg"][:1].lower() + first["msg"][1:]
    more = f" (and {len(others)} more)" if others else ""
    return _error_response(422, "invalid", f"{where}: {what}{more}.", "GET /v1/openapi.json says what may be asked.")


async def _handle_database_error(_: Request, problem: Any) -> Response:
    LOG.error("a database could not be used", exc_info=problem)
    message = "The database that holds what was said and served cannot be used now."
    return _error_response(503, "database_down", message, "Try again; POST /v1/score goes on without it.")


async def _handle_unexpected_error(_: Request, problem: Any) -> Response:
    LOG.error("a request failed", exc_info=problem)
    return _error_response(500, "internal", "Something went wrong on our side.", "The log has the details; try again.")
