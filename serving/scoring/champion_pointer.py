"""The champion as the service sees it: a bundle in the state folder for MLflow's alias, and a pointer to it.

    champion/<version>-<format>/    the version's bundle, which is also stored with the version in MLflow
    champion.json                   the pointer: which bundle is served; workers read nothing else
    models.json                     every registered version, for the API
    model_report.json               every registered version and the champion's evaluation, for people

The alias decides. `make_champion` moves alias and pointer together; `sync_champion` runs beside `oarlock serve` and
updates the pointer if another tool moved the alias. If a bundle is refused, the pointer stays and says why.
"""

import logging
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from configs.errors import NoChampion, NotReady, OarlockError
from configs.files import read_json, write_json
from configs.state_dir import StateDir
from serving.schemas.responses import RefusedVersion, RegisteredModel
from serving.scoring.model_bundle import FORMAT, load_bundle, make_bundle, save_bundle
from serving.scoring.model_report import write_model_report
from serving.treeshap.kernel import Kernel
from training.registry.version import Version

if TYPE_CHECKING:
    from training.registry.mlflow_registry import ChampionEvent, Registry

LOG = logging.getLogger("oarlock.promotion")
ARTIFACT = f"bundle-{FORMAT}"


@dataclass(frozen=True)
class ChampionPointer:
    """The served version, the folder of its bundle, and a version that was refused since, with the reason."""

    version: Version
    folder: Path
    refused: RefusedVersion | None


def read_pointer(state: StateDir) -> ChampionPointer:
    """The pointer; raises NoChampion if there is none, NotReady if it cannot be read."""
    try:
        content = read_json(state.champion_pointer)
        folder = state.bundles / content["folder"]
        return ChampionPointer(Version(**content["version"]), folder, content.get("refused"))
    except FileNotFoundError:
        raise NoChampion("No model has been promoted yet.", "Run `oarlock train`, then `oarlock promote`.") from None
    except (OSError, ValueError, KeyError, TypeError) as error:
        message = f"{state.champion_pointer} cannot be read: {type(error).__name__}."
        raise NotReady(message, "Run `oarlock promote` again: it writes the file anew.") from None


def bundle_folder(state: StateDir, number: int) -> Path:
    """The folder of a version's bundle."""
    return state.bundles / f"{number}-{FORMAT}"


def make_champion(state: StateDir, registry: "Registry", event: "ChampionEvent") -> Version:
    """Build and verify the bundle of a version, make it the champion, and point to it.

    Raises PromotionRefused for a bundle that does not give the risks of its model; the champion stays as it is.
    """
    folder = build_bundle(state, registry, registry.get(event.version))
    version = registry.set_champion(event)
    _write_version_list(state, registry)
    _write_pointer(state, version, folder)
    return version


def sync_champion(state: StateDir, registry: "Registry") -> Version | None:
    """Make the pointer name the version of the alias; returns that version, None if there is no champion.

    Raises PromotionRefused for a bundle that does not give the risks of its model; the pointer stays as it is.
    """
    _write_version_list(state, registry)
    version = registry.find_champion()
    if version is None:
        state.champion_pointer.unlink(missing_ok=True)
    elif not _points_to(state, version):
        try:
            _write_pointer(state, version, build_bundle(state, registry, version))
        except OarlockError as error:
            _record_refusal(state, version, error)
            raise
    return version


def rebuild_outdated_bundle(state: StateDir, registry: "Registry") -> None:
    """Build the champion's bundle again if another release built it; raises NoChampion if there is none."""
    pointer = read_pointer(state)
    if pointer.folder != bundle_folder(state, pointer.version.number):
        sync_champion(state, registry)


def build_bundle(state: StateDir, registry: "Registry", version: Version) -> Path:
    """The folder of a version's bundle, verified: an existing one, a copy from MLflow, or one that is built now.

    A new bundle is verified before it gets its name, so a process that is killed leaves no unverified one. Raises
    PromotionRefused for a bundle that does not give the risks of its model.
    """
    folder, kernel = bundle_folder(state, version.number), Kernel(state.compiled_kernels)
    state.bundles.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=state.bundles, prefix=".") as scratch:
        files = folder if folder.exists() else _bundle_files(registry, version, kernel, Path(scratch) / "bundle")
        load_bundle(files, kernel)
        if files != folder:
            files.replace(folder)
    return folder


def _bundle_files(registry: "Registry", version: Version, kernel: Kernel, target: Path) -> Path:
    if not registry.download_artifact(version, ARTIFACT, target):
        save_bundle(make_bundle(registry.load_model(version), kernel), target)
        registry.upload_artifact(version, ARTIFACT, target)
    return target


def _points_to(state: StateDir, version: Version) -> bool:
    try:
        pointer = read_pointer(state)
    except NotReady:
        return False  # it is written anew
    return pointer.version == version and pointer.folder == bundle_folder(state, version.number)


def _write_pointer(state: StateDir, version: Version, folder: Path) -> None:
    write_json(state.champion_pointer, {"version": vars(version), "folder": folder.name})


def _write_version_list(state: StateDir, registry: "Registry") -> None:
    listed = _read_version_list(state)
    described = {model["version"]: model for model in listed}
    models = [
        {**(described.get(version.number) or _describe_version(registry, version)), "alias": version.alias}
        for version in registry.versions()
    ]
    if models != listed or not state.model_report.exists():
        write_json(state.models, {"name": registry.name, "models": models})
        if champion := registry.find_champion():
            write_model_report(state, registry, champion)


def _read_version_list(state: StateDir) -> list[RegisteredModel]:
    """The list as it was written last; empty if it is missing or cannot be read, since it can be made anew."""
    try:
        return read_json(state.models)["models"] if state.models.exists() else []
    except (OSError, ValueError, KeyError, TypeError) as error:
        LOG.warning("%s cannot be read and is written anew: %s", state.models, error)
        return []


def _describe_version(registry: "Registry", version: Version) -> RegisteredModel:
    model = registry.load_model(version)
    return {
        "version": version.number,
        "alias": version.alias,
        "horizons": list(model.calibrator.horizons),
        "label_hash": model.identity["label"],
        "signal_set": model.identity["signal_set"],
    }


def _record_refusal(state: StateDir, version: Version, error: OarlockError) -> None:
    LOG.error("version %s is refused, the champion stays: %s", version.number, error)
    if _is_readable(state):
        refused: RefusedVersion = {"version": version.number, "reason": error.message}
        write_json(state.champion_pointer, {**read_json(state.champion_pointer), "refused": refused})


def _is_readable(state: StateDir) -> bool:
    try:
        read_pointer(state)
    except NotReady:
        return False
    return True
