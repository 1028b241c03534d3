"""The page of the HTTP API, from the OpenAPI document: every route with an example that is tested, and every type."""

import json
import re
from collections.abc import Iterator
from typing import Any

from docs.generate.json_schema import Schema, default_of, fields_table, type_of
from docs.generate.markdown import join, table

ACCOUNT = "A0000302"
HEAD = """# HTTP API

Generated from the OpenAPI document, which the service answers at `/v1/openapi.json`. The examples are for the company
of the [quick start](../tutorial/quick-start.md) and expect a running service:

```console
$ oarlock serve --port 3000
```

## Routes"""


def http_api_page() -> str:
    """Every route and every type."""
    from serving.api.openapi import openapi_document
    from serving.app import ENDPOINTS, PREFIX

    document = openapi_document(ENDPOINTS, PREFIX)
    schemas = document["components"]["schemas"]
    parts = [HEAD]
    for path, methods in document["paths"].items():
        for method, route in methods.items():
            parts += _route(method.upper(), f"{PREFIX}{path}", route, schemas)
    parts.append("## Types")
    for name, schema in sorted(schemas.items()):
        fields = fields_table(schema) if schema.get("properties") else f"{type_of(schema)}."
        parts += [f"### {name}", schema.get("description", ""), fields]
    return join(parts)


def _route(method: str, path: str, route: Schema, schemas: Schema) -> Iterator[str]:
    body, response = _type_name(route.get("requestBody")), _type_name(route["responses"]["200"])
    parameters = route.get("parameters", [])
    yield f"### {method} {path}"
    yield route["description"]
    if parameters:
        yield table(("parameter", "type", "default", "meaning"), map(_parameter, parameters))
    takes = f"Body: [{body}](#{body.lower()}). " if body else ""
    yield f"Scope: `{route['x-scope']}`. {takes}Response: [{response}](#{response.lower()})."
    data = f" --json '{json.dumps(_example(schemas[body]))}'" if body else ""
    yield f"```console\n$ curl -s localhost:3000{path.replace('{account_id}', ACCOUNT)}{data}\n```"


def _parameter(parameter: Schema) -> tuple[str, str, str, str]:
    schema = parameter["schema"]
    return f"`{parameter['name']}`", type_of(schema), default_of(schema), parameter.get("description", "")


def _example(schema: Schema) -> dict[str, Any]:
    """The examples of the required fields, and of the first optional one."""
    fields = schema["properties"]
    required = schema["required"]
    optional = [name for name in fields if name not in required]
    return {name: fields[name]["examples"][0] for name in [*required, *optional[:1]]}


def _type_name(content: Any) -> str:
    match = re.search(r'"#/components/schemas/(\w+)"', json.dumps(content))
    return match[1] if match else ""
