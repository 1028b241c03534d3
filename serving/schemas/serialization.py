"""JSON written once: the text that a reply sends is the text that the ledger keeps."""

import json
from typing import Any

import numpy as np
import orjson

# A subclass is handed to `_written` instead of being written anew.
ORJSON_OPTIONS = orjson.OPT_PASSTHROUGH_SUBCLASS | orjson.OPT_SERIALIZE_NUMPY


class PreserializedScore(dict[str, Any]):
    """One account's part of a reply beside its `text`, which is all that is sent and kept: never change its values."""

    __slots__ = ("text",)
    text: bytes

    def __init__(self, content: dict[str, Any]) -> None:
        super().__init__(content)
        self.text = orjson.dumps(content, option=orjson.OPT_SERIALIZE_NUMPY)


def to_json(content: Any) -> bytes:
    """A value as JSON; parts that were written already are copied."""
    if isinstance(content, PreserializedScore):
        return content.text
    try:
        return orjson.dumps(content, default=_encode_default, option=ORJSON_OPTIONS)
    except orjson.JSONEncodeError as problem:
        if "surrogates" not in str(problem):
            raise
        return _encode_surrogates(content)


def _encode_default(value: Any) -> Any:
    if isinstance(value, PreserializedScore):
        return orjson.Fragment(value.text)
    if isinstance(value, np.generic):
        return value.item()
    raise TypeError(f"{type(value).__name__} is not JSON")


def _encode_surrogates(content: Any) -> bytes:
    # An id may hold what has no place in UTF-8; it is given back as it came.
    text = json.dumps(content, ensure_ascii=False, separators=(",", ":"), allow_nan=False, default=_encode_default)
    return text.encode("utf-8", "surrogatepass")
