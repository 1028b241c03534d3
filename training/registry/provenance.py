"""Provenance: everything a model was trained from, stored with it, so that it can be trained again and compared."""

import hashlib
import platform
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from functools import cache
from importlib.metadata import distributions
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, JsonValue, TypeAdapter

from configs.sections.training import TrainingSettings
from configs.settings import Settings
from features.compute.fingerprints import fingerprint
from features.signals.base import Signal
from features.tables.dataset import Dataset
from training.registry.code_hash import hash_code

PROJECT_ROOT = Path(__file__).parents[2]
CODE_FOLDERS = ("configs", "features", "training")
# The sections that influence a model or its evaluation; the others say where data is and how risks are served.
SECTIONS = ("snapshots", "label", "signals", "training", "evaluation", "stability", "health_score", "leakage")
# The libraries that compute trees and calibrator: another version of one of these may give other bytes.
LIBRARIES = ("lightgbm", "numpy", "pandas", "pyarrow", "scikit-learn", "scipy")


@dataclass(frozen=True)
class Provenance:
    """What a model was trained from.

    `settings` are the sections that influence a model, `days` the as_of days of its snapshots, `files` and `signals`
    one hash each, `environment` the versions it was computed with. `parent` is the version that it was made from
    without retraining, `calibrated_on` the days that its calibrator was then fitted on. `adopted_from` names the model
    of another company that its trees were fitted to, with a hash, if they were.
    """

    settings: Mapping[str, dict[str, JsonValue]]
    days: tuple[str, ...]
    known_until: str
    files: Mapping[str, str]
    signals: Mapping[str, str]
    environment: Mapping[str, str]
    parent: int | None = None
    calibrated_on: tuple[str, ...] = ()
    adopted_from: str = ""

    def to_json(self) -> dict[str, Any]:
        """The provenance as a JSON object."""
        return asdict(self)


@dataclass(frozen=True)
class ProvenanceDifference:
    """One part of the provenance that has changed since."""

    kind: Literal["raw file", "signal", "environment", "setting"]
    name: str
    before: str
    after: str

    def __str__(self) -> str:
        return f"{self.kind} {self.name}: was {self.before}, is now {self.after}"


def read_provenance(document: object) -> Provenance:
    """The provenance in a JSON object; raises pydantic's ValidationError if it has another form."""
    return TypeAdapter(Provenance).validate_python(document)


def restore_settings(settings: Settings, provenance: Provenance) -> Settings:
    """The settings with every section that influences a model as it was, or at its defaults if it was not stored.

    Raises pydantic's ValidationError for a setting that no longer exists.
    """
    sections: dict[str, type[BaseModel]] = {name: type(getattr(settings, name)) for name in SECTIONS}
    stored = {name: section.model_validate(provenance.settings.get(name, {})) for name, section in sections.items()}
    return settings.model_copy(update=stored)


def restore_label_settings(settings: Settings, provenance: Provenance | None) -> Settings:
    """The settings with the label and the snapshots as they were; unchanged without a provenance."""
    if provenance is None:
        return settings
    stored = restore_settings(settings, provenance)
    return settings.model_copy(update={"label": stored.label, "snapshots": stored.snapshots})


def restore_training_settings(provenance: Provenance) -> TrainingSettings:
    """The training settings as they were; raises pydantic's ValidationError for a setting that no longer exists."""
    return TrainingSettings.model_validate(provenance.settings["training"])


def model_settings(settings: Settings) -> dict[str, dict[str, JsonValue]]:
    """The sections that influence a model, as JSON objects."""
    return settings.model_dump(mode="json", include=set(SECTIONS))


def hash_files(dataset: Dataset) -> dict[str, str]:
    """A hash of each raw file and of the mapping, by name."""
    files = {f"{source}: {file.name}": file for source, paths in dataset.files.items() for file in paths}
    files[f"mapping: {dataset.mapping_file.name}"] = dataset.mapping_file
    return {name: _hash_file(file) for name, file in files.items()}


def hash_signals(signals: tuple[Signal, ...]) -> dict[str, str]:
    """A hash of what each signal computes, by name."""
    return {signal.name: fingerprint(signal) for signal in signals}


@cache
def code_hash() -> str:
    """A hash of the code that turns raw tables into a model.

    It is part of a model's identity, because training is ordinary Python: a changed step has no other trace. What the
    hash leaves out (comments, layout, docstrings, names of local variables, modules) changes no model.
    """
    return hash_code(PROJECT_ROOT, CODE_FOLDERS)


@cache
def describe_environment() -> dict[str, str]:
    """The processor, and the versions of Python, of our code, of its libraries and of everything installed."""
    installed = _installed_versions()
    return {
        "python": platform.python_version(),
        "processor": platform.machine(),
        **{name: installed.get(name, "not installed") for name in ("oarlock", *LIBRARIES)},
        "code": code_hash(),
        "lock": _hash_lock(installed),
    }


def libraries_hash() -> str:
    """A hash of the versions of Python and of the libraries that compute a model."""
    versions = " ".join(f"{name}={describe_environment()[name]}" for name in ("python", *LIBRARIES))
    return hashlib.sha256(versions.encode()).hexdigest()[:12]


def compare_provenance(before: Provenance, after: Provenance) -> tuple[ProvenanceDifference, ...]:
    """What has changed between two provenances."""
    return (
        *_changes("raw file", before.files, after.files),
        *_changes("signal", before.signals, after.signals),
        *_changes("environment", before.environment, after.environment),
        *_changes("setting", _flatten(before.settings), _flatten(after.settings)),
    )


def _changes(
    kind: Literal["raw file", "signal", "environment", "setting"],
    before: Mapping[str, object],
    after: Mapping[str, object],
) -> Iterator[ProvenanceDifference]:
    for name in sorted(before.keys() | after.keys()):
        old, new = (str(side.get(name, "missing")) for side in (before, after))
        if old != new:
            yield ProvenanceDifference(kind, name, old, new)


def _flatten(settings: Mapping[str, JsonValue], prefix: str = "") -> dict[str, JsonValue]:
    flat: dict[str, JsonValue] = {}
    for name, value in settings.items():
        flat |= _flatten(value, f"{prefix}{name}.") if isinstance(value, dict) else {f"{prefix}{name}": value}
    return flat


def _installed_versions() -> dict[str, str]:
    packages = ((package.metadata["Name"], package.version) for package in distributions())
    return {name.lower(): version for name, version in packages if name}


def _hash_file(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()[:12]


def _hash_lock(installed: Mapping[str, str]) -> str:
    """A hash of the lock file that the code came with; without one, of everything installed."""
    lock = PROJECT_ROOT / "requirements.lock"
    versions = "\n".join(f"{name}=={version}" for name, version in sorted(installed.items()))
    return hashlib.sha256(lock.read_bytes() if lock.exists() else versions.encode()).hexdigest()[:12]
