"""Provenance: all that a run was made from, kept with its model, so that it can be made again or say what changed."""

import hashlib
import platform
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from functools import cache
from importlib.metadata import distributions
from pathlib import Path
from typing import Any

from configs.settings import Settings, TrainingSettings
from features.compute.fingerprints import fingerprint
from features.signals.base import Signal
from features.tables.mapping import Dataset
from training.registry.code_hash import hash_code

HOUSE = Path(__file__).parents[2]
ROOMS_BEFORE = ("configs", "features", "training")
# The sections that bear on a model or on what is said of it; the others say where data is and how risks are served.
SECTIONS = ("snapshots", "label", "training", "evaluation", "stability", "health_score", "leakage")
# What the trees and the calibrator are computed with: another version of one of these may give other bytes.
LIBRARIES = ("lightgbm", "numpy", "pandas", "pyarrow", "scikit-learn", "scipy")
# Of settings that came later, what a run did that did not know them.
UNKNOWN_ONCE = {"linear_prior_sd": 0.0}


@dataclass(frozen=True)
class Provenance:
    """What a run was made from.

    `settings` are the sections as they were, `days` the as_of of its snapshots, `files` a hash per raw file, `signals`
    a hash per signal, `machine` the versions of what computed it. `parent` names the version that a release without
    retraining was made of, `calibrated_on` the days that its calibration was fitted on anew.
    """

    settings: Mapping[str, Any]
    days: tuple[str, ...]
    known_until: str
    files: Mapping[str, str]
    signals: Mapping[str, str]
    machine: Mapping[str, str]
    parent: int | None = None
    calibrated_on: tuple[str, ...] = ()

    def document(self) -> dict[str, Any]:
        """The provenance as JSON keeps it."""
        return asdict(self)


@dataclass(frozen=True)
class Difference:
    """One thing that is not as it was when the run was made."""

    what: str
    then: str
    now: str

    def __str__(self) -> str:
        return f"{self.what}: then {self.then}, now {self.now}"


def read_provenance(document: Mapping[str, Any]) -> Provenance:
    """The provenance that `document` gave."""
    lists = {name: tuple(document.get(name, ())) for name in ("days", "calibrated_on")}
    return Provenance(**{**document, **lists})


def as_logged(settings: Settings, provenance: Provenance) -> Settings:
    """The settings with every section that bears on a model as the run had it, or at its defaults where it had none.

    Raises pydantic's ValidationError for a setting that is no longer known.
    """
    sections = {name: getattr(settings, name) for name in SECTIONS}
    had = {name: type(now).model_validate(provenance.settings.get(name, {})) for name, now in sections.items()}
    if "training" in provenance.settings:
        had["training"] = as_trained(provenance.settings["training"])
    return settings.model_copy(update=had)


def as_trained(logged: Mapping[str, Any]) -> TrainingSettings:
    """The training settings that a run logged; what it did not know was not there, whatever the default is now."""
    return TrainingSettings.model_validate({**UNKNOWN_ONCE, **logged})


def sections_of(settings: Settings) -> dict[str, Any]:
    """The sections that bear on a model, as JSON keeps them."""
    return settings.model_dump(mode="json", include=set(SECTIONS))


def files_of(dataset: Dataset) -> dict[str, str]:
    """A hash of each raw file and of the mapping, by name."""
    named = {f"{source}: {file.name}": file for source, files in dataset.files.items() for file in files}
    return {
        name: _file_hash(file) for name, file in {**named, f"mapping: {dataset.mapping.name}": dataset.mapping}.items()
    }


def signals_of(signals: tuple[Signal, ...]) -> dict[str, str]:
    """The hash of what each signal computes."""
    return {one.name: fingerprint(one) for one in signals}


@cache
def code_hash() -> str:
    """A hash of the code that turns raw tables into a model, see `code_hash`.

    It is part of a model's identity, because training is ordinary Python: a changed step has no other trace. What the
    hash leaves out (comments, layout, docstrings, names of local variables, modules) changes no model.
    """
    return hash_code(HOUSE, ROOMS_BEFORE)


@cache
def machine() -> dict[str, str]:
    """The versions of Python, of what computes a model and of everything installed, and what processor it runs on."""
    installed = {one.metadata["Name"].lower(): one.version for one in distributions() if one.metadata["Name"]}
    named = {name: installed.get(name, "not installed") for name in ("oarlock", *LIBRARIES)}
    return {
        "python": platform.python_version(),
        "processor": platform.machine(),
        **named,
        "code": code_hash(),
        "lock": _lock_hash(installed),
    }


def libraries_hash() -> str:
    """A hash of the versions of what computes a model."""
    versions = " ".join(f"{name}={machine()[name]}" for name in ("python", *LIBRARIES))
    return hashlib.sha256(versions.encode()).hexdigest()[:12]


def differences(then: Provenance, now: Provenance) -> tuple[Difference, ...]:
    """What has changed between two runs' provenance, each by name."""
    return (
        *_changed("raw file ", then.files, now.files),
        *_changed("signal ", then.signals, now.signals),
        *_changed("", then.machine, now.machine),
        *_changed("setting ", _flat(then.settings), _flat(now.settings)),
    )


def _changed(what: str, then: Mapping[str, Any], now: Mapping[str, Any]) -> Iterator[Difference]:
    for name in sorted(then.keys() | now.keys()):
        before, after = (str(side.get(name, "not there")) for side in (then, now))
        if before != after:
            yield Difference(f"{what}{name}", before, after)


def _flat(settings: Mapping[str, Any], above: str = "") -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, value in settings.items():
        found |= _flat(value, f"{above}{name}.") if isinstance(value, Mapping) else {f"{above}{name}": value}
    return found


def _file_hash(file: Path) -> str:
    with file.open("rb") as opened:
        return hashlib.file_digest(opened, "sha256").hexdigest()[:12]


def _lock_hash(installed: Mapping[str, str]) -> str:
    """A hash of the lock that the code came with; of everything installed where it came without one."""
    lock = HOUSE / "requirements.lock"
    listed = "\n".join(f"{name}=={version}" for name, version in sorted(installed.items()))
    return hashlib.sha256(lock.read_bytes() if lock.exists() else listed.encode()).hexdigest()[:12]
