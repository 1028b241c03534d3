"""The settings file: one TOML file, read once into frozen values; an unknown setting is an error.

`OARLOCK_<SECTION>__<KEY>` in the environment overrides the file, e.g. `OARLOCK_LABEL__HORIZON_DAYS=90`.
A relative path in the file starts at the file's folder, one in the environment at the current folder.
"""

import os
from collections.abc import Iterable
from pathlib import Path
from typing import cast, get_args

from pydantic import ValidationError

from configs.errors import ConfigError
from configs.files import JsonObject
from configs.settings import ENVIRONMENT_PREFIX, Settings, Topology
from configs.validation import TomlFormat, describe_validation_error

SETTINGS_FILE = TomlFormat(
    name="settings file",
    if_missing="Pass the path of a settings file with --config.",
    if_invalid="Compare with configs/oarlock.toml and the settings reference.",
)
TOPOLOGIES = Path(__file__).with_name("topologies")


def read_settings(path: Path) -> Settings:
    """The settings in the file at `path`, overridden by the environment.

    Raises ConfigError if the file is missing, cannot be read, or holds an unknown or invalid setting.
    """
    content = {"name": path.stem, **SETTINGS_FILE.parse(path)}
    _refuse_unknown_overrides(os.environ)
    try:
        return _with_copies(Settings(**_with_topology(_resolve_paths(content, path.resolve().parent))))
    except ValidationError as error:
        variable = _environment_variable(error)
        if variable in os.environ:
            message = f"{variable} in the environment cannot be used: {describe_validation_error(error)}."
            raise ConfigError(message, "Unset it or change its value.") from None
        raise SETTINGS_FILE.invalid(path, error) from None


def _environment_variable(error: ValidationError) -> str:
    """The environment variable that would override the first invalid setting."""
    return ENVIRONMENT_PREFIX + "__".join(str(part) for part in error.errors()[0]["loc"]).upper()


def _resolve_paths(content: JsonObject, folder: Path) -> JsonObject:
    """The content of a settings file with its relative paths taken from `folder`."""
    data = dict(content.get("data", {}))
    for key in {"dataset", "folder", "copies"} & data.keys():
        data[key] = folder / data[key]
    files = {name: folder / content[name] for name in ("playbook", "health_parts") if name in content}
    signals = dict(content.get("signals", {}))
    if isinstance(signals.get("modules"), list):
        signals["modules"] = [folder / str(name) for name in signals["modules"]]
    daily = {"daily": _resolve_daily(content["daily"], folder)} if isinstance(content.get("daily"), dict) else {}
    stores = {"stores": _resolve_stores(content["stores"], folder)} if isinstance(content.get("stores"), dict) else {}
    state = folder / content.get("state", ".oarlock")
    return {**content, **files, **daily, **stores, "signals": signals, "data": data, "state": state}


def _resolve_stores(stores: JsonObject, folder: Path) -> JsonObject:
    return {**stores, "history": folder / stores["history"]} if "history" in stores else stores


def _resolve_daily(daily: JsonObject, folder: Path) -> JsonObject:
    metrics = {"metrics": folder / daily["metrics"]} if "metrics" in daily else {}
    exports: object = daily.get("exports", [])
    if isinstance(exports, list):
        exports = [_resolve_export(export, folder) for export in cast(list[object], exports)]
    return {**daily, **metrics, "exports": exports}


def _resolve_export(value: object, folder: Path) -> object:
    if not isinstance(value, dict):
        return value
    export = cast(JsonObject, value)
    output = str(export.get("output", ""))
    files = {"output": str(folder / output)} if output and "://" not in output else {}
    field_map = {"field_map": folder / export["field_map"]} if "field_map" in export else {}
    return {**export, **files, **field_map}


def _with_topology(content: JsonObject) -> JsonObject:
    """The content of a settings file over the settings of its topology, which the environment may name."""
    name = os.environ.get(f"{ENVIRONMENT_PREFIX}TOPOLOGY", content.get("topology", "embedded"))
    if name not in get_args(Topology):
        return content  # refused with the other settings
    defaults = SETTINGS_FILE.parse(TOPOLOGIES / f"{name}.toml")
    sections = {key: {**section, **content.get(key, {})} for key, section in defaults.items()}
    return {**content, **sections}


def _with_copies(settings: Settings) -> Settings:
    """The settings with the folder for copies of databases."""
    copies = settings.data.copies or settings.state.resolve() / settings.name / "copies"
    return settings.model_copy(update={"data": settings.data.model_copy(update={"copies": copies})})


def _refuse_unknown_overrides(environment: Iterable[str]) -> None:
    sections = {name.upper() for name in Settings.model_fields} | {
        "CONFIG",
        "SUPERVISOR",
        "OUTSIDE_DATA",
        "TEST_POSTGRES",
        "TEST_REDIS",
    }
    for variable in environment:
        section = variable.removeprefix(ENVIRONMENT_PREFIX).split("__")[0]
        if variable.startswith(ENVIRONMENT_PREFIX) and section not in sections:
            raise ConfigError(f"{variable} in the environment overrides no known setting.", "Unset or rename it.")
