"""The challenger in shadow: a version that scores every published day beside the champion, and answers nobody."""

from dataclasses import dataclass
from datetime import datetime

from configs.errors import NotReady, RequestError
from configs.files import write_json
from configs.state_dir import StateDir
from configs.stored_files import read_stored
from features.online.online_store import open_online_reader
from serving.scoring.champion_pointer import build_bundle, read_pointer
from serving.scoring.model_bundle import load_bundle
from serving.scoring.signal_lookup import published_columns
from serving.treeshap.kernel import Kernel
from training.registry.mlflow_registry import Registry
from training.registry.version import Version

RESTART = "Run `oarlock shadow start` with the version again."


@dataclass(frozen=True)
class ShadowVersion:
    """The number of the version in shadow, and since when it is."""

    version: int
    started_at: str


def find_shadow(state: StateDir) -> ShadowVersion | None:
    """The version in shadow; None if there is none. Raises DamagedState if its file cannot be read."""
    try:
        return read_stored(state.shadow, ShadowVersion, RESTART)
    except FileNotFoundError:
        return None


def start_shadow(state: StateDir, registry: Registry, version: Version, at: datetime) -> None:
    """Let a version score beside the champion from the next published day on.

    Raises RequestError for the champion itself and for a version that answers another question, NotReady if its signals
    are not published, PromotionRefused if its bundle does not give the risks of its model.
    """
    champion = read_pointer(state)
    if champion.version.number == version.number:
        raise RequestError(f"Version {version.number} is the champion.", "Name another version.")
    kernel = Kernel(state.compiled_kernels)
    challenger = load_bundle(build_bundle(state, registry, version), kernel)
    if challenger.identity["label"] != load_bundle(champion.folder, kernel).identity["label"]:
        message = f"Version {version.number} was trained for another label than the champion."
        raise RequestError(message, "Train a version with the champion's label settings.")
    missing = challenger.signal_name_set - published_columns(open_online_reader(state)).names
    if missing:
        message = f"Version {version.number} needs the signal '{min(missing)}', which is not published."
        raise NotReady(message, "Run `oarlock publish`, then start it again.")
    write_json(state.shadow, {"version": version.number, "started_at": at.isoformat()})


def stop_shadow(state: StateDir) -> ShadowVersion:
    """End the shadow; what it recorded stays. Returns the version; raises NotReady if there is none."""
    shadow = find_shadow(state)
    if shadow is None:
        raise NotReady("No version is in shadow.", "`oarlock shadow start VERSION` starts one.")
    state.shadow.unlink()
    return shadow
