"""A JSON response, written by orjson."""

from collections.abc import Mapping

from starlette.responses import Response

from serving.schemas.serialization import to_json


class JsonResponse(Response):
    """A response whose body is JSON; parts that have their JSON text already are copied."""

    media_type = "application/json"

    def __init__(self, content: object, status_code: int = 200, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(to_json(content), status_code, headers)
