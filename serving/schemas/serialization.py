"""JSON that is written once: the text that a response sends is the text that the ledger stores."""

import json
from typing import TYPE_CHECKING, Any, cast

import numpy as np
import orjson

if TYPE_CHECKING:
    from serving.schemas.responses import Score

# Subclasses of dict go to `_encode_default`.
ORJSON_OPTIONS = orjson.OPT_PASSTHROUGH_SUBCLASS | orjson.OPT_SERIALIZE_NUMPY


class PreserializedScore(dict[str, Any]):
    """One account's score with its JSON `text`, which is what is sent and stored: never change its values."""

    __slots__ = ("text",)
    text: bytes

    def __init__(self, score: "Score") -> None:
        super().__init__(score)
        self.text = orjson.dumps(score, option=orjson.OPT_SERIALIZE_NUMPY)


def preserialize(score: "Score") -> "Score":
    """The score with its JSON text."""
    return cast("Score", PreserializedScore(score))


def to_json(content: object) -> bytes:
    """A value as JSON; scores that have their text already are copied."""
    if isinstance(content, PreserializedScore):
        return content.text
    try:
        return orjson.dumps(content, default=_encode_default, option=ORJSON_OPTIONS)
    except orjson.JSONEncodeError as error:
        if "surrogates" not in str(error):
            raise
        return _encode_surrogates(content)


def _encode_default(value: object) -> object:
    if isinstance(value, PreserializedScore):
        return orjson.Fragment(value.text)
    if isinstance(value, np.generic):
        return cast(object, value.item())
    raise TypeError(f"{type(value).__name__} cannot be written as JSON.")


def _encode_surrogates(content: object) -> bytes:
    # An id may hold characters that UTF-8 cannot encode; the client gets it back as it was sent.
    text = json.dumps(content, ensure_ascii=False, separators=(",", ":"), allow_nan=False, default=_encode_default)
    return text.encode("utf-8", "surrogatepass")
