"""Promotion as the service sees it: MLflow's alias turned into a bundle under the state folder and a pointer to it.

    champion/<version>-<format>/    the version's bundle, as it is stored with the version in MLflow
    champion.json                   which of them answers; workers look at nothing else
    models.json                     every registered version, for whoever asks the service

The alias is the truth. `follow` brings the pointer in line with it: after `oarlock promote`, and again and again beside
`oarlock serve`, so that an alias moved elsewhere is taken up too. A version that is refused leaves the pointer where it
is, with a note that says why.
"""

import logging
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from configs.errors import NoChampion, OarlockError
from configs.files import read_json, write_json
from configs.state_dir import State
from serving.scoring.model_bundle import FORMAT, load_bundle, make_bundle, save_bundle
from serving.treeshap.kernel import Kernel
from training.registry.mlflow_registry import Registry
from training.registry.version import Version

LOG = logging.getLogger("oarlock.promotion")
ARTIFACT = f"bundle-{FORMAT}"


@dataclass(frozen=True)
class ChampionPointer:
    """Which version answers, where its bundle is, and which version was refused since, and why."""

    version: Version
    folder: Path
    refused: dict[str, Any] | None


def read_pointer(state: State) -> ChampionPointer:
    """What the pointer says; raises NoChampion where there is none."""
    try:
        note = read_json(state.champion)
    except FileNotFoundError:
        raise NoChampion("No model has been promoted yet.", "Run `oarlock train`, then `oarlock promote`.") from None
    return ChampionPointer(Version(**note["version"]), state.bundles / note["folder"], note.get("refused"))


def bundle_folder(state: State, number: int) -> Path:
    """Where the bundle of a version is."""
    return state.bundles / f"{number}-{FORMAT}"


def sync_champion(state: State, registry: Registry) -> Version | None:
    """Bring the pointer in line with the alias; the version it points at now, None where no model is promoted.

    Raises PromotionRefused for a version whose bundle is not that of its booster; the pointer stays.
    """
    _write_version_list(state, registry)
    try:
        version = registry.champion()
    except NoChampion:
        state.champion.unlink(missing_ok=True)
        return None
    try:
        pointer = read_pointer(state)
    except NoChampion:
        pointer = None
    if pointer and pointer.version == version and pointer.folder == bundle_folder(state, version.number):
        return version
    try:
        folder = prepare_bundle(state, registry, version)
    except OarlockError as problem:
        _record_rejection(state, version, problem)
        raise
    write_json(state.champion, {"version": vars(version), "folder": folder.name})
    return version


def rebuild_outdated_bundle(state: State, registry: Registry) -> None:
    """Make the champion's bundle anew where another version of Oarlock made it; raises NoChampion for none."""
    pointer = read_pointer(state)
    if pointer.folder != bundle_folder(state, pointer.version.number):
        sync_champion(state, registry)


def prepare_bundle(state: State, registry: Registry, version: Version) -> Path:
    """The folder of a version's bundle: the one there, the one stored in MLflow, or one made now and stored there.

    Raises PromotionRefused where it does not give the risks that it must.
    """
    folder, kernel = bundle_folder(state, version.number), Kernel(state.compiled)
    if not folder.exists():
        state.bundles.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=state.bundles, prefix=".") as scratch:
            made = Path(scratch) / "bundle"
            if not registry.fetch(version, ARTIFACT, made):
                save_bundle(make_bundle(registry.load(version), kernel), made)
                registry.attach(version, ARTIFACT, made)
            load_bundle(made, kernel)
            made.replace(folder)
    load_bundle(folder, kernel)
    return folder


def _write_version_list(state: State, registry: Registry) -> None:
    versions = registry.versions()
    known = read_json(state.models)["models"] if state.models.exists() else []
    said = {one["version"]: one for one in known}
    told = [{**(said.get(one.number) or _describe_version(registry, one)), "alias": one.alias} for one in versions]
    if told != known:
        write_json(state.models, {"name": registry.name, "models": told})


def _describe_version(registry: Registry, version: Version) -> dict[str, Any]:
    model = registry.load(version)
    return {
        "version": version.number,
        "horizons": list(model.calibrator.horizons),
        "label_hash": model.identity["label"],
        "signal_set": model.identity["signal_set"],
    }


def _record_rejection(state: State, version: Version, problem: OarlockError) -> None:
    LOG.error("version %s is refused, the one before stays: %s", version.number, problem)
    if state.champion.exists():
        refused = {"version": version.number, "reason": problem.message}
        write_json(state.champion, {**read_json(state.champion), "refused": refused})
