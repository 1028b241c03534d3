"""The OpenAPI document, generated from what the endpoints declare."""

from collections.abc import Iterable, Sequence
from typing import Any

from pydantic import TypeAdapter
from pydantic.json_schema import JsonSchemaMode

from configs.files import JsonObject
from serving.api.endpoint import Endpoint
from serving.schemas.requests import MAX_ACCOUNT_ID_LENGTH
from serving.schemas.responses import ErrorResponse

DESCRIPTION = """Calibrated churn risks with drivers that add up exactly to the risk. Nothing here is causal.

Every error has the body `{"error": {"code", "message", "hint"}}`. A risk is recorded
before it is returned, except in lists of accounts, which show the newest publication, and in what-ifs."""
ERROR_DESCRIPTIONS = {
    400: "The body is not JSON.",
    401: "No valid API key was sent. As long as no key exists, only this machine is answered.",
    403: "The API key lacks the scope of this route (`x-scope`), or without a key a page of another site asks.",
    404: "There is no such account, or it had no risk by that day.",
    408: "The body did not arrive in time.",
    409: "The same `Idempotency-Key` was sent with another body, or its first request is still being answered.",
    413: "The body is too large.",
    415: "The body is not sent as `application/json`.",
    422: "The request is not valid.",
    429: "The API key sent more requests than it may in a minute; `Retry-After` says how many seconds to wait.",
    431: "The line and headers of the request are too large.",
    503: "It cannot be answered now, or would take too long; the message says why.",
}
SCHEMA_PREFIX = "#/components/schemas/"
ACCESS_STATUSES = (401, 403, 429)
BODY_STATUSES = (400, 408, 409, 413, 415)
ALL_STATUSES = (431, 503)
HEADERS = {
    "X-Request-Id": "The id of the request, in the log and in the ledger too: the one that was sent, or a new one.",
    "RateLimit-Policy": "Of an API key: how many requests (q) it may send in how many seconds (w).",
    "RateLimit": "Of an API key: how many requests are left (r), and when the minute ends (t, in seconds).",
    "Retry-After": "How many seconds to wait.",
    "Idempotency-Replayed": "`true` if an earlier response is sent again.",
}
HEADER_PREFIX = "#/components/headers/"
RETRIED_STATUSES = (429, 503)
SECURITY_SCHEME = "api_key"
IDEMPOTENCY_PARAMETER: JsonObject = {
    "name": "Idempotency-Key",
    "in": "header",
    "required": False,
    "description": "A name of this request. Sent again within a day, it gets the same response.",
    "schema": {"type": "string", "minLength": 1, "maxLength": 200, "examples": ["7c1f"]},
}
ACCOUNT_ID_PARAMETER: JsonObject = {
    "name": "account_id",
    "in": "path",
    "required": True,
    "description": "The account.",
    "schema": {"type": "string", "minLength": 1, "maxLength": MAX_ACCOUNT_ID_LENGTH, "examples": ["A0000302"]},
}


def openapi_document(endpoints: Sequence[Endpoint], prefix: str) -> JsonObject:
    """The document of these endpoints, which are served under a prefix."""
    paths: JsonObject = {}
    for route in endpoints:
        paths.setdefault(route.path_format, {})[route.method.lower()] = _operation(route)
    return {
        "openapi": "3.1.0",
        "info": {"title": "Oarlock", "version": "1", "description": DESCRIPTION},
        "servers": [{"url": prefix}],
        "paths": paths,
        "security": [{SECURITY_SCHEME: []}],
        "components": {
            "schemas": _schemas(endpoints),
            "headers": {name: {"description": text, "schema": {"type": "string"}} for name, text in HEADERS.items()},
            "securitySchemes": {
                SECURITY_SCHEME: {
                    "type": "http",
                    "scheme": "bearer",
                    "description": "A key of `oarlock keys create`; `x-scope` names the scope that a route needs.",
                }
            },
        },
    }


def _operation(route: Endpoint) -> JsonObject:
    operation: JsonObject = {
        "operationId": route.name,
        "summary": route.name.replace("_", " ").capitalize(),
        "description": route.handler.__doc__,
        "x-scope": route.scope,
        "parameters": [*_path_parameters(route), *_query_parameters(route), *_header_parameters(route)],
        "responses": _responses(route),
    }
    if route.scope == "public":
        operation["security"] = []
    if route.body:
        operation["requestBody"] = {"required": True, "content": _content(route.body)}
    return operation


def _path_parameters(route: Endpoint) -> list[JsonObject]:
    return [ACCOUNT_ID_PARAMETER] if route.param_convertors else []


def _header_parameters(route: Endpoint) -> list[JsonObject]:
    return [IDEMPOTENCY_PARAMETER] if route.body else []


def _query_parameters(route: Endpoint) -> list[JsonObject]:
    properties = route.query.model_json_schema()["properties"] if route.query else {}
    return [
        {
            "name": name,
            "in": "query",
            "required": False,
            "description": schema.pop("description"),
            "schema": _without_null(schema),
        }
        for name, schema in properties.items()
    ]


def _without_null(schema: JsonObject) -> JsonObject:
    """The schema of a query parameter, which is left out rather than null."""
    choices = [choice for choice in schema.pop("anyOf", []) if choice.get("type") != "null"]
    (choice,) = choices or [{}]
    if schema.get("default", "") is None:
        del schema["default"]
    return {**schema, **choice}


def _responses(route: Endpoint) -> JsonObject:
    access = ACCESS_STATUSES if route.scope != "public" else ()
    statuses = sorted({*ALL_STATUSES, *access, *(BODY_STATUSES if route.body else ()), *route.errors})
    errors = {
        str(status): {
            "description": ERROR_DESCRIPTIONS[status],
            "headers": _headers(route, is_refusal=status in RETRIED_STATUSES),
            "content": _content(ErrorResponse),
        }
        for status in statuses
    }
    success: JsonObject = {
        "description": route.response.__doc__,
        "headers": _headers(route),
        "content": _content(route.response),
    }
    return {"200": success, **errors}


def _headers(route: Endpoint, *, is_refusal: bool = False) -> JsonObject:
    names = ["X-Request-Id"]
    names += ["RateLimit-Policy", "RateLimit"] if route.scope != "public" else []
    names += ["Idempotency-Replayed"] if route.body and not is_refusal else []
    names += ["Retry-After"] if is_refusal else []
    return {name: {"$ref": f"{HEADER_PREFIX}{name}"} for name in names}


def _content(model: type) -> JsonObject:
    return {"application/json": {"schema": {"$ref": f"{SCHEMA_PREFIX}{model.__name__}"}}}


def _schemas(endpoints: Iterable[Endpoint]) -> JsonObject:
    models = {model for route in endpoints for model in (route.body, route.response) if model} | {ErrorResponse}
    ordered = sorted(models, key=lambda model: model.__name__)
    inputs: list[tuple[type, JsonSchemaMode, TypeAdapter[Any]]] = [
        (model, "validation", TypeAdapter[Any](model)) for model in ordered
    ]
    _, document = TypeAdapter[Any].json_schemas(inputs, ref_template=f"{SCHEMA_PREFIX}{{model}}")
    return document["$defs"]
