"""Reads request bodies: their bytes are counted while they arrive, and they are JSON."""

import json
from typing import Any, TypeVar

from pydantic import ValidationError
from starlette.requests import ClientDisconnect
from starlette.types import Receive

from configs.errors import RequestError
from configs.validation import describe_validation_error
from serving.schemas.requests import RequestBody

Body = TypeVar("Body", bound=RequestBody)


async def read_bytes(receive: Receive, max_bytes: int) -> bytes:
    """The body; raises RequestError (413) if it is larger than `max_bytes`."""
    body, more = bytearray(), True
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise ClientDisconnect
        body += message.get("body", b"")
        more = message.get("more_body", False)
        if len(body) > max_bytes:
            error = f"The body is larger than {max_bytes} bytes."
            raise RequestError(error, "Send fewer accounts.", code="too_large", status=413)
    return bytes(body)


def require_json(content_type: str) -> None:
    """Raise RequestError (415) unless a body is sent as JSON, which a page of another site cannot do unasked."""
    if content_type.partition(";")[0].strip().lower() != "application/json":
        message = f"The body is sent as '{content_type[:100]}'." if content_type else "The body has no content type."
        hint = "Send `Content-Type: application/json`; curl does with --json."
        raise RequestError(message, hint, code="not_json", status=415)


def parse_body(content: bytes, model: type[Body]) -> Body:
    """The body as its model; raises RequestError (400 if it is not JSON, 422 if it is not valid)."""
    try:
        return model.model_validate_json(content)
    except ValidationError as error:
        if error.errors()[0]["type"] == "json_invalid":
            raise RequestError("The body is not JSON.", _example_hint(model), code="not_json") from None
        raise RequestError(
            f"{describe_validation_error(error)}.", _example_hint(model), code="invalid", status=422
        ) from None


def _example_hint(model: type[RequestBody]) -> str:
    fields = {name: field for name, field in model.model_fields.items() if field.is_required() and field.examples}
    example: dict[str, Any] = {name: field.examples[0] for name, field in fields.items() if field.examples}
    return f"Send {json.dumps(example)}."
