"""The documentation of the API as a page: every route with its fields and an example, without any outside request."""

import re
from collections.abc import Callable
from functools import cache
from pathlib import Path

from markupsafe import Markup, escape
from starlette.responses import HTMLResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Receive, Scope, Send

from configs.files import JsonObject

FOLDER = Path(__file__).parent
STYLE_PATH = "/docs.css"
PATHS = ("/docs", STYLE_PATH)
BACKTICKS = re.compile("`([^`]+)`")
HEADERS = {
    "content-security-policy": "default-src 'none'; style-src 'self'; base-uri 'none'; frame-ancestors 'none'",
    "cache-control": "max-age=300",
}


class ApiDocsMiddleware:
    """The ASGI middleware that answers `/docs` and, with a redirect, the API's bare prefix."""

    def __init__(self, app: ASGIApp, document: Callable[[], JsonObject], prefix: str) -> None:
        self.app, self.prefix = app, prefix
        self.render = cache(lambda: render_api_docs(document()))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer, or pass the request on."""
        if scope["type"] != "http" or scope["method"] not in ("GET", "HEAD"):
            await self.app(scope, receive, send)
        elif scope["path"] in PATHS:
            await self._page(scope["path"])(scope, receive, send)
        elif scope["path"].rstrip("/") == self.prefix:
            await RedirectResponse("/docs", 307)(scope, receive, send)
        else:
            await self.app(scope, receive, send)

    def _page(self, path: str) -> Response:
        if path == STYLE_PATH:
            return Response((FOLDER / "api_docs.css").read_text("utf-8"), media_type="text/css", headers=HEADERS)
        return HTMLResponse(self.render(), headers=HEADERS)


def render_api_docs(document: JsonObject) -> str:
    """The page for an OpenAPI document."""
    from jinja2 import Environment, StrictUndefined  # only who opens the page needs it

    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    environment.filters["code"] = _mark_code
    template = environment.from_string((FOLDER / "api_docs.html.jinja").read_text("utf-8"))
    routes = [
        (method.upper(), f"{document['servers'][0]['url']}{path}", operation)
        for path, operations in document["paths"].items()
        for method, operation in operations.items()
    ]
    schemas = document["components"]["schemas"]
    return template.render(info=document["info"], routes=routes, example=lambda content: _example(content, schemas))


def _mark_code(text: str) -> Markup:
    """The text as HTML, with what is between backticks as code."""
    return Markup(BACKTICKS.sub(r"<code>\1</code>", str(escape(text))))


def _example(content: JsonObject, schemas: JsonObject) -> object:
    return example_value(content["application/json"]["schema"], schemas)


def example_value(schema: JsonObject, schemas: JsonObject) -> object:
    """A value of a schema, made of the first example of each field.

    >>> fields = {"id": {"type": "string", "examples": ["a"]}, "tags": {"type": "array", "items": {"examples": [1]}}}
    >>> example_value({"$ref": "#/components/schemas/Account"}, {"Account": {"properties": fields}})
    {'id': 'a', 'tags': [1]}
    """
    if "examples" in schema:
        return schema["examples"][0]
    if "$ref" in schema:
        return example_value(schemas[schema["$ref"].rpartition("/")[2]], schemas)
    if "anyOf" in schema:
        return example_value(schema["anyOf"][0], schemas)
    if "properties" in schema:
        return {name: example_value(field, schemas) for name, field in schema["properties"].items()}
    if "items" in schema:
        return [example_value(schema["items"], schemas)]
    return schema.get("const", schema.get("enum", [None])[0])
