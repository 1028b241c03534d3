"""The pages of the TOML files, settings and mapping: every section with types, defaults and meanings."""

import json
from collections.abc import Iterator

from pydantic import BaseModel

from docs.generate.json_schema import Schema, fields_table, target_of
from docs.generate.markdown import join

SETTINGS_HEAD = """# Settings

A settings file is TOML. `OARLOCK_<SECTION>__<KEY>` in the environment overrides it, for example
`OARLOCK_LABEL__HORIZON_DAYS=90`. A relative path in the file starts at the folder of the file.

## Top level"""
MAPPING_HEAD = """# Mapping

A mapping is a TOML file that names the files of a data set and maps them onto the [raw tables](raw-tables.md). [Bring
your own data](../how-to/bring-your-own-data.md) shows how to write it.

## Top level"""


def settings_page() -> str:
    """Every setting."""
    from configs.settings import Settings

    return _sections_page(SETTINGS_HEAD, Settings)


def mapping_page() -> str:
    """Every key of a mapping."""
    from features.tables.mapping import DatasetMapping

    return _sections_page(MAPPING_HEAD, DatasetMapping)


def _sections_page(head: str, model: type[BaseModel]) -> str:
    schema = model.model_json_schema()
    sections = dict(_sections(schema, schema["$defs"]))
    parts = [head, fields_table(_without_sections(schema))]
    for title, name in sections.items():
        section = _without_sections(schema["$defs"][name])
        parts += [f"## \\[{title}\\]", section.get("description", ""), fields_table(section)]
    return join(parts)


def _without_sections(schema: Schema) -> Schema:
    properties = schema["properties"].items()
    fields = {name: _without_link(field) for name, field in properties if _choices(field) or not _is_section(field)}
    return {**schema, "properties": fields}


def _is_section(field: Schema) -> bool:
    return "$ref" in json.dumps(field)


def _without_link(field: Schema) -> Schema:
    """The field with a section among its choices named as such: its heading is not that of its type."""
    choices = [{"type": "section"} if target_of(choice) else choice for choice in _choices(field)]
    return {**field, "additionalProperties": {"oneOf": choices}} if choices else field


def _choices(field: Schema) -> list[Schema]:
    """What an entry of a field can be, if that is a section or something else."""
    entries = field.get("additionalProperties")
    return entries.get("oneOf", []) if isinstance(entries, dict) else []


def _sections(schema: Schema, models: Schema, prefix: str = "") -> Iterator[tuple[str, str]]:
    """The TOML path of each section and the name of its model, nested ones after their parents."""
    for name, field in schema["properties"].items():
        title, target = f"{prefix}{name}", "".join(map(target_of, [field, *field.get("anyOf", [])]))
        if isinstance(field.get("additionalProperties"), dict):
            entry = field["additionalProperties"]
            title, target = f"{title}.NAME", "".join(map(target_of, [entry, *_choices(field)]))
        if listed := target_of(field.get("items", {})):
            title, target = f"\\[{title}\\]", listed  # TOML's table in a list
        if target:
            yield title, target
            yield from _sections(models[target], models, f"{title}.")
