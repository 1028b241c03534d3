"""Errors over HTTP: every error has the body `{"error": {"code", "message", "hint"}}`."""

import logging
import sqlite3
from collections.abc import Mapping

from sqlalchemy.exc import DBAPIError
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response

from configs.errors import DatabaseDown, OarlockError, RequestError
from serving.api.responses import JsonResponse
from serving.schemas.responses import ErrorResponse

LOG = logging.getLogger("oarlock.api")
CLIENT_CLOSED = 499  # for the log: nobody is left to read the response
HTTP_CODES = {404: "not_found", 405: "method_not_allowed"}


def error_response(error: OarlockError, headers: Mapping[str, str] | None = None) -> Response:
    """The response that tells a client about an error."""
    body: ErrorResponse = {"error": {"code": error.code, "message": error.message, "hint": error.hint}}
    if error.retry_after_seconds is not None:
        headers = {**(headers or {}), "retry-after": str(error.retry_after_seconds)}
    return JsonResponse(body, error.status, headers)


async def handle_error(request: Request, error: Exception) -> Response:
    """The response to any exception of a route."""
    headers = error.headers if isinstance(error, HTTPException) else None
    return error_response(describe_error(request, error), headers)


def describe_error(request: Request, error: Exception) -> OarlockError:
    """What a client is told about any exception of a route; logs those that a client did not cause."""
    match error:
        case OarlockError():
            return error
        case HTTPException():
            return _http_error(request, error)
        case ClientDisconnect():
            return RequestError("The client closed the connection.", code="client_closed", status=CLIENT_CLOSED)
        case DBAPIError() | sqlite3.Error():
            LOG.error("a database cannot be used", exc_info=error)
            message, hint = "The ledger's database cannot be used.", "Try again. POST /v1/score works without it."
            return DatabaseDown(message, hint)
        case _:
            LOG.error("a request failed", exc_info=error)
            message, hint = "The service failed to answer this request.", "Try again, or read the service's log."
            return RequestError(message, hint, code="internal", status=500)


def _http_error(request: Request, error: HTTPException) -> RequestError:
    code = HTTP_CODES.get(error.status_code, "http_error")
    message = f"{request.method} {request.url.path}: {error.detail.lower()}."
    return RequestError(message, "GET /v1/openapi.json lists the routes.", code=code, status=error.status_code)
