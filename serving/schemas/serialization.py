"""JSON written once: the text that a reply sends is the text that the ledger keeps."""

import json
from typing import Any

import numpy as np
import orjson

# A subclass is handed to `_written` instead of being written anew.
OPTIONS = orjson.OPT_PASSTHROUGH_SUBCLASS | orjson.OPT_SERIALIZE_NUMPY


class Written(dict[str, Any]):
    """One account's part of a reply beside its `text`, which is all that is sent and kept: never change its values."""

    __slots__ = ("text",)
    text: bytes

    def __init__(self, content: dict[str, Any]) -> None:
        super().__init__(content)
        self.text = orjson.dumps(content, option=orjson.OPT_SERIALIZE_NUMPY)


def text_of(content: Any) -> bytes:
    """A value as JSON; parts that were written already are copied."""
    if isinstance(content, Written):
        return content.text
    try:
        return orjson.dumps(content, default=_written, option=OPTIONS)
    except orjson.JSONEncodeError as problem:
        if "surrogates" not in str(problem):
            raise
        return _given_back(content)


def _written(value: Any) -> Any:
    if isinstance(value, Written):
        return orjson.Fragment(value.text)
    if isinstance(value, np.generic):
        return value.item()
    raise TypeError(f"{type(value).__name__} is not JSON")


def _given_back(content: Any) -> bytes:
    # An id may hold what has no place in UTF-8; it is given back as it came.
    text = json.dumps(content, ensure_ascii=False, separators=(",", ":"), allow_nan=False, default=_written)
    return text.encode("utf-8", "surrogatepass")
