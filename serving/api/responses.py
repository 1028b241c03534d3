"""A JSON response, serialised by orjson."""

from typing import Any

from starlette.responses import Response

from serving.schemas.serialization import to_json


class OrjsonResponse(Response):
    """A reply whose JSON was written once, from plain values."""

    media_type = "application/json"

    def __init__(self, content: Any, headers: dict[str, str] | None = None) -> None:
        super().__init__(to_json(content), headers=headers)
