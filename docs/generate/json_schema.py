"""JSON schemas in words, as tables of fields."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeAlias

from docs.generate.markdown import table

ROOT = Path(__file__).parents[2]
Schema: TypeAlias = Mapping[str, Any]
LIMITS = {
    "minimum": "at least {}",
    "exclusiveMinimum": "above {}",
    "maximum": "at most {}",
    "exclusiveMaximum": "below {}",
    "minItems": "at least {} items",
    "maxItems": "at most {} items",
    "maxLength": "at most {} characters",
    "pattern": "matching `{}`",
}


def fields_table(schema: Schema) -> str:
    """The properties of an object as a table."""
    rows = [
        (f"`{name}`", type_of(field), default_of(field), field.get("description", ""))
        for name, field in schema["properties"].items()
    ]
    return table(("name", "type", "default", "meaning"), rows)


def type_of(schema: Schema) -> str:
    """A schema in words.

    >>> type_of({"anyOf": [{"type": "integer", "minimum": 1}, {"type": "null"}]})
    'integer, at least 1, or null'
    """
    limits = [text.format(schema[name]) for name, text in LIMITS.items() if name in schema]
    return ", ".join([_kind_of(schema), *limits])


def default_of(schema: Schema) -> str:
    """The default of a field; empty if it has none."""
    return f"`{json.dumps(schema['default']).replace(f'{ROOT}/', '')}`" if "default" in schema else ""


def target_of(schema: Schema) -> str:
    """The name of the schema that this one refers to; empty if it refers to none."""
    return schema.get("$ref", "").rpartition("/")[2]


def _kind_of(schema: Schema) -> str:
    if target := target_of(schema):
        return f"[{target}](#{target.lower()})"
    if choices := schema.get("anyOf", schema.get("oneOf")):
        options = [type_of(option) for option in choices]
        return f"{', '.join(options[:-1])}{',' * any(', ' in option for option in options)} or {options[-1]}"
    if "enum" in schema:
        return ", ".join(f"`{value}`" for value in schema["enum"])
    if "const" in schema:
        return f"`{schema['const']}`"
    return _container_of(schema)


def _container_of(schema: Schema) -> str:
    if isinstance(schema.get("additionalProperties"), dict):
        return f"map of name to {type_of(schema['additionalProperties'])}"
    if schema.get("type") == "array" and "items" in schema:
        return f"list of {type_of(schema['items'])}"
    return schema.get("format") or schema.get("type", "any")
