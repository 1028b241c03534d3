"""The champion as the service sees it: a bundle in the state folder for MLflow's alias, and a pointer to it.

    champion/<version>-<format>/    the version's bundle, which is also stored with the version in MLflow
    champion.json                   the pointer: which bundle is served; workers read nothing else
    models.json                     every registered version, for the API
    model_report.json               every registered version and the champion's evaluation, for people

The alias decides. `make_champion` moves alias and pointer together; `sync_champion` runs beside `oarlock serve` and
updates the pointer if another tool moved the alias. If a bundle is refused, the pointer stays and says why.
"""

import logging
import shutil
import tempfile
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

from configs.errors import NoChampion, NotReady, OarlockError, PromotionRefused
from configs.files import write_json
from configs.state_dir import StateDir
from configs.stored_files import damaged, read_rebuildable, read_stored
from serving.schemas.responses import RefusedVersion, RegisteredModel
from serving.scoring.model_bundle import FORMAT, load_bundle, make_bundle, save_bundle
from serving.scoring.model_report import write_model_report
from serving.treeshap.kernel import Kernel
from training.registry.version import Version

if TYPE_CHECKING:
    from training.registry.mlflow_registry import ChampionEvent, Registry

LOG = logging.getLogger("oarlock.promotion")
ARTIFACT = f"bundle-{FORMAT}"
REWRITE = "Run `oarlock promote` with the version that is champion: it writes the file anew."


@dataclass(frozen=True)
class ChampionPointer:
    """The served version, the folder of its bundle, and a version that was refused since, with the reason.

    `warning` says that the version knows no more than the base rate, None if it does: somebody forced its promotion.
    """

    version: Version
    folder: Path
    refused: RefusedVersion | None
    warning: str | None = None


@dataclass(frozen=True)
class _PointerFile:
    version: Version
    folder: str
    refused: RefusedVersion | None = None
    warning: str | None = None


@dataclass(frozen=True)
class VersionList:
    """Every registered version, as the API lists them: the name of the model, and the versions, newest first.

    `unreadable` has the numbers of those whose model is damaged, or of a release with another format.
    """

    name: str
    models: list[RegisteredModel]
    unreadable: list[int] = field(default_factory=list)


def read_pointer(state: StateDir) -> ChampionPointer:
    """The pointer; raises NoChampion if there is none, DamagedState if it cannot be read."""
    try:
        content = read_stored(state.champion_pointer, _PointerFile, REWRITE)
    except FileNotFoundError:
        raise NoChampion("No model has been promoted yet.", "Run `oarlock train`, then `oarlock promote`.") from None
    return ChampionPointer(content.version, state.bundles / content.folder, content.refused, content.warning)


def read_version_list(state: StateDir) -> VersionList | None:
    """Every registered version; None before the first promotion. Raises DamagedState if the list cannot be read."""
    try:
        return read_stored(state.models, VersionList, REWRITE)
    except FileNotFoundError:
        return None


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
    _write_pointer(state, registry, version=version, folder=folder)
    return version


def sync_champion(state: StateDir, registry: "Registry") -> Version | None:
    """Make the pointer name the version of the alias; returns that version, None if there is no champion.

    Raises PromotionRefused for a bundle that does not give the risks of its model, and DamagedState for a registry that
    has lost its versions; the pointer stays as it is.
    """
    _write_version_list(state, registry)
    version = registry.find_champion()
    if version is None:
        _require_versions(state, registry)
        state.champion_pointer.unlink(missing_ok=True)
    elif not _points_to(state, version):
        try:
            folder = build_bundle(state, registry, version)
            _write_pointer(state, registry, version=version, folder=folder)
        except OarlockError as error:
            _record_refusal(state, version, error)
            raise
    return version


def rewrite_champion(state: StateDir, registry: "Registry") -> None:
    """Write the list of versions, the champion's bundle if it cannot be loaded, and the pointer anew.

    Raises NoChampion if there is no champion, PromotionRefused as `build_bundle`.
    """
    version = registry.champion()
    folder = build_bundle(state, registry, version)
    _write_version_list(state, registry)
    _write_pointer(state, registry, version=version, folder=folder)


def rebuild_outdated_bundle(state: StateDir, registry: "Registry") -> None:
    """Build the champion's bundle again if another release built it; raises NoChampion if there is none."""
    pointer = read_pointer(state)
    if pointer.folder != bundle_folder(state, pointer.version.number):
        sync_champion(state, registry)


def build_bundle(state: StateDir, registry: "Registry", version: Version) -> Path:
    """The folder of a version's bundle, verified: an existing one, a copy from MLflow, or one that is built now.

    One that cannot be loaded is replaced, here and in MLflow. A new bundle is verified before it gets its name, so a
    process that is killed leaves no unverified one. Raises PromotionRefused for a bundle that does not give the risks
    of its model.
    """
    folder, kernel = bundle_folder(state, version.number), Kernel(state.compiled_kernels)
    if folder.exists() and _is_loadable(folder, kernel):
        return folder
    state.bundles.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=state.bundles, prefix=".") as scratch:
        files = _bundle_files(registry, version, kernel, Path(scratch) / "bundle")
        load_bundle(files, kernel)
        if folder.exists():
            folder.replace(Path(scratch) / "damaged")
        files.replace(folder)
    return folder


def _is_loadable(folder: Path, kernel: Kernel) -> bool:
    try:
        load_bundle(folder, kernel)
    except PromotionRefused as error:
        LOG.warning("the bundle is built anew: %s", error)
        return False
    return True


def _require_versions(state: StateDir, registry: "Registry") -> None:
    """Raise DamagedState if a champion is served and the registry has no version at all: nobody demoted it."""
    if state.champion_pointer.exists() and not registry.versions():
        hint = "Restore the folder from a backup, or delete champion.json beside it to serve no model."
        raise damaged(registry.folder, "it holds no version, and a champion is served", hint)


def _bundle_files(registry: "Registry", version: Version, kernel: Kernel, target: Path) -> Path:
    if not (registry.download_artifact(version, ARTIFACT, target) and _is_loadable(target, kernel)):
        shutil.rmtree(target, ignore_errors=True)
        save_bundle(make_bundle(registry.load_model(version), kernel), target)
        registry.upload_artifact(version, ARTIFACT, target)
    return target


def _points_to(state: StateDir, version: Version) -> bool:
    try:
        pointer = read_pointer(state)
    except NotReady:
        return False  # it is written anew
    is_current = pointer.version == version and pointer.folder == bundle_folder(state, version.number)
    return is_current and pointer.refused is None  # once the alias is back, nothing is refused


def _write_pointer(state: StateDir, registry: "Registry", *, version: Version, folder: Path) -> None:
    content = {"version": vars(version), "folder": folder.name, "warning": _skill_warning(registry, version)}
    write_json(state.champion_pointer, content)


def _skill_warning(registry: "Registry", version: Version) -> str | None:
    from training.registry.promotion_rules import describe_missing_skill

    try:
        fault = describe_missing_skill(registry.evaluation(version))
    except NotReady:  # of a release whose format is no longer read: the version is served all the same
        return None
    return f"This model knows no more than the base rate: {fault}." if fault else None


def _write_version_list(state: StateDir, registry: "Registry") -> None:
    stored = read_rebuildable(state.models, VersionList) or VersionList(registry.name, [])
    listed = _describe_versions(registry, stored)
    if listed != stored or not state.model_report.exists():
        write_json(state.models, asdict(listed))
        if champion := registry.find_champion():
            write_model_report(state, registry, champion)


def _describe_versions(registry: "Registry", stored: VersionList) -> VersionList:
    """The list of versions; a model is loaded if it is new, or if it became champion and could not be read before."""
    described = {model["version"]: model for model in stored.models}
    listed = VersionList(registry.name, [])
    for version in registry.versions():
        if version.number in stored.unreadable and version.alias is None:
            listed.unreadable.append(version.number)
            continue
        try:
            model = described.get(version.number) or _describe_version(registry, version)
        except NotReady as error:
            LOG.warning("version %s is not listed: %s", version.number, error)
            listed.unreadable.append(version.number)
        else:
            listed.models.append({**model, "alias": version.alias})
    return listed


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
    content = read_rebuildable(state.champion_pointer, _PointerFile)
    if content:
        refused: RefusedVersion = {"version": version.number, "reason": error.message}
        write_json(state.champion_pointer, asdict(replace(content, refused=refused)))
