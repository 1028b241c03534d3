"""The OpenAPI document: what each route declares about its scope, its requests and its errors."""

from collections.abc import Iterator
from typing import Any, Literal

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from fastapi.routing import APIRoute

from serving.api.responses import OrjsonResponse
from serving.schemas.requests import (
    ChangeRequest,
    ExplainRequest,
    FeedbackRequest,
    OutcomesRequest,
    ScoreRequest,
    WhatIfRequest,
)
from serving.schemas.requests import Request as Body
from serving.schemas.responses import ErrorResponse, Response


def scopes(app: FastAPI) -> dict[tuple[str, str], str]:
    """The scope that each route asks for, by method and path template."""
    return {(method, route.path): extra["x-scope"] for route, method, extra in declared_routes(app)}


def openapi_document(app: FastAPI) -> dict[str, Any]:
    """The OpenAPI, with the models of bodies that routes read themselves."""
    if app.openapi_schema is None:
        made = get_openapi(title=app.title, version=app.version, description=app.description, routes=app.routes)
        made["servers"] = [{"url": "/v1"}]
        schemas = made["components"]["schemas"]
        for model in REQUEST_MODELS:
            schema = model.model_json_schema(ref_template="#/components/schemas/{model}")
            schemas |= schema.pop("$defs", {}) | {model.__name__: schema}
        # Ours answers a body or query that cannot be understood.
        for unused in ("HTTPValidationError", "ValidationError"):
            schemas.pop(unused, None)
        app.openapi_schema = made
    return app.openapi_schema


Scope = Literal["open", "score", "read", "feedback"]


REQUEST_MODELS: tuple[type[Body], ...] = (
    ScoreRequest, ExplainRequest, ChangeRequest, WhatIfRequest, FeedbackRequest, OutcomesRequest,
)  # fmt: skip


ERROR_DESCRIPTIONS = {
    400: "The body is not JSON.",
    404: "There is no such account, or no risk had been given by that day.",
    413: "The body is too large.",
    422: "It is not what may be asked.",
    503: "No risk can be given now: it says why.",
}


def declare_route(
    *, scope: Scope, answers: type[Response], asks: type[Body] | None = None, refuses: tuple[int, ...] = (422, 503)
) -> dict[str, Any]:
    """The arguments of a route: its scope, the models of body and reply, and the refusals it knows."""
    extra: dict[str, Any] = {"x-scope": scope}
    if asks is not None:
        refuses = (400, 413, *refuses)
        body = {"application/json": {"schema": {"$ref": f"#/components/schemas/{asks.__name__}"}}}
        extra["requestBody"] = {"required": True, "content": body}
    told = {status: {"model": ErrorResponse, "description": ERROR_DESCRIPTIONS[status]} for status in refuses}
    answered = {200: {"model": answers, "description": (answers.__doc__ or "").splitlines()[0]}}
    return {"status_code": 200, "response_class": OrjsonResponse, "responses": answered | told, "openapi_extra": extra}


def declared_routes(app: FastAPI) -> Iterator[tuple[APIRoute, str, dict[str, Any]]]:
    """Every declared route with its method and what was declared beside it."""
    for route in app.routes:
        if isinstance(route, APIRoute) and route.include_in_schema:
            yield from ((route, method, route.openapi_extra or {}) for method in sorted(route.methods or ()))
