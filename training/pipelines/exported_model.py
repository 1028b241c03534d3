"""Exported models: a version as a folder that another company's registry can adopt.

The folder holds the booster, what the model reads, and its calibration. It holds no account, no value of a signal and
no name of a segment's calibration; the categories that trees split on, such as plans, are in it by name.
"""

import hashlib
import tempfile
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from configs.errors import NotReady, RequestError
from configs.files import write_json
from configs.stored_files import damaged, read_stored
from training.evaluation.driver_stability import DriverStability
from training.model.churn_model import BOOSTER_FILE, DOCUMENT_FILE, ChurnModel, load_model, save_model
from training.registry.mlflow_registry import Registry
from training.registry.version import Version

ORIGIN_FILE = "origin.json"
MODEL_FILES = (BOOSTER_FILE, DOCUMENT_FILE)
HASH_LENGTH = 12
EXPORT_AGAIN = "Run `oarlock models export` again where it was trained."


@dataclass(frozen=True)
class ModelOrigin:
    """Where an exported model comes from: its name and version, its data set, and a hash of each signal it reads.

    `files` has a hash of each other file, by name: LightGBM ends the process over a booster that was changed.
    """

    name: str
    version: int
    dataset: str
    signals: Mapping[str, str]
    files: Mapping[str, str]
    stability: DriverStability


@dataclass(frozen=True)
class ExportedModel:
    """An exported model, where it comes from, and a hash of its files."""

    model: ChurnModel
    origin: ModelOrigin
    hash: str

    @property
    def label(self) -> str:
        """Its name for people."""
        return f"{self.origin.name} version {self.origin.version}"


def export_model(registry: Registry, version: Version, dataset: str, folder: Path) -> None:
    """Write a version, trained on the data set of this name, into a new or an empty folder: all of it or nothing.

    Raises RequestError for any other folder, NotReady if the version has no provenance.
    """
    provenance = registry.provenance(version)
    if provenance is None:
        raise NotReady(f"Version {version.number} has no stored provenance.", "Run `oarlock train`.")
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise RequestError(f"{folder} is not an empty folder.", "Name a folder that is new or empty.")
    model = registry.load_model(version)
    hashes = {name: provenance.signals[name] for name in model.signal_names if name in provenance.signals}
    stability = registry.evaluation(version).stability
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent) as scratch:
        temporary = Path(scratch) / folder.name
        temporary.mkdir()
        save_model(_without_company(model), temporary)
        origin = ModelOrigin(version.name, version.number, dataset, hashes, _hash_files(temporary), stability)
        write_json(temporary / ORIGIN_FILE, asdict(origin))
        temporary.replace(folder)


def read_exported_model(folder: Path) -> ExportedModel:
    """The model in a folder that `export_model` wrote.

    Raises RequestError for any other folder, DamagedState if its files cannot be read.
    """
    missing = [name for name in (*MODEL_FILES, ORIGIN_FILE) if not (folder / name).is_file()]
    if missing:
        raise RequestError(f"{folder} holds no exported model: it has no {missing[0]}.", EXPORT_AGAIN)
    origin, hashes = read_stored(folder / ORIGIN_FILE, ModelOrigin, EXPORT_AGAIN), _hash_files(folder)
    for name, digest in hashes.items():
        if origin.files.get(name) != digest:
            raise damaged(folder / name, "it was changed after it was exported", EXPORT_AGAIN)
    try:
        return ExportedModel(load_model(folder), origin, _hash(repr(origin).encode()))
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise damaged(folder, f"this release reads another format: {error}", EXPORT_AGAIN) from None


def _hash_files(folder: Path) -> dict[str, str]:
    return {name: _hash((folder / name).read_bytes()) for name in MODEL_FILES}


def _hash(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()[:HASH_LENGTH]


def _without_company(model: ChurnModel) -> ChurnModel:
    """The model without what only describes the company that it was trained for."""
    calibrator = replace(model.calibrator, offsets={})
    return replace(model, calibrator=calibrator, typical_values={}, identity={}, bands={}, past=None)
