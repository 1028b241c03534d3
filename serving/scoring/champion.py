"""The champion in memory: loaded when the pointer moves, held in one reference that is replaced as a whole.

A request reads the reference once, so it never mixes two models.
"""

import logging
import threading
from dataclasses import dataclass
from pathlib import Path

from configs.errors import NoChampion, NotReady, PromotionRefused
from configs.state_dir import StateDir
from serving.schemas.responses import ModelDescription, ModelResponse, ModelsResponse, RefusedVersion
from serving.scoring.champion_pointer import ChampionPointer, bundle_folder, read_pointer, read_version_list
from serving.scoring.model_bundle import ModelBundle, load_bundle
from serving.treeshap.kernel import Kernel
from training.registry.version import CHAMPION, Version

LOG = logging.getLogger("oarlock.champion")


@dataclass(frozen=True)
class LoadedModel:
    """A model bundle in memory, its version, and why it should not be trusted, if so."""

    model: ModelBundle
    version: Version
    warning: str | None = None


class ChampionProvider:
    """Gives the model that is champion now, and other promoted versions."""

    def __init__(self, state: StateDir, model_name: str) -> None:
        self._state, self._model_name = state, model_name
        self._champion: LoadedModel | None = None
        self._loaded_pointer: tuple[int, Path] | None = None
        self._lock = threading.Lock()
        self.refused: RefusedVersion | None = None

    @property
    def is_loaded(self) -> bool:
        return self._champion is not None

    def champion(self) -> LoadedModel:
        """The current champion; raises NoChampion if no version was promoted."""
        return self._champion or self.refresh()

    def refresh(self) -> LoadedModel:
        """Load the champion if the pointer moved; raises NoChampion if no version was promoted.

        A version that does not reproduce its own sample is not loaded: the previous champion stays, and `refused` says
        why. Without a previous champion PromotionRefused is raised.
        """
        with self._lock:
            try:
                written = self._state.champion_pointer.stat().st_mtime_ns
                pointer = read_pointer(self._state)
            except (FileNotFoundError, NoChampion):
                self._champion = self._loaded_pointer = None
                raise NoChampion("No model has been promoted yet.", "Run `oarlock promote`.") from None
            if self._loaded_pointer != (written, pointer.folder):
                self._load(pointer)
                self._loaded_pointer = (written, pointer.folder)
            if self._champion is None:
                reason = self.refused["reason"] if self.refused else ""
                message = f"The promoted version cannot be loaded. {reason}".strip()
                hint = f"Run `oarlock promote {pointer.version.number}`: it builds the bundle anew."
                raise PromotionRefused(message, hint)
            return self._champion

    def load_version(self, number: int) -> ModelBundle:
        """The model of a version that was ever promoted; raises NotReady if its bundle is missing."""
        champion = self.champion()
        if champion.version.number == number:
            return champion.model
        folder = bundle_folder(self._state, number)
        if not folder.exists():
            raise NotReady(f"There is no bundle of version {number}.", "Only promoted versions have one.")
        return load_bundle(folder, Kernel(self._state.compiled_kernels))

    def status(self) -> ModelResponse:
        """The champion, and the version that was promoted after it and refused."""
        return {**describe_model(self.champion()), "refused": self.refused}

    def list_versions(self) -> ModelsResponse:
        """Every registered version, newest first; raises DamagedState if the list cannot be read."""
        versions = read_version_list(self._state)
        if versions is None:
            return {"name": self._model_name, "models": [], "unreadable": []}
        return {"name": versions.name, "models": versions.models, "unreadable": versions.unreadable}

    def _load(self, pointer: ChampionPointer) -> None:
        self.refused = pointer.refused
        if self._champion and self._champion.version.number == pointer.version.number:
            return
        try:
            model = load_bundle(pointer.folder, Kernel(self._state.compiled_kernels))
        except PromotionRefused as error:
            self.refused = {"version": pointer.version.number, "reason": error.message}
            LOG.error("version %s is refused, the previous champion stays: %s", pointer.version.number, error)
            return
        self._champion = LoadedModel(model, pointer.version, pointer.warning)
        LOG.info("version %s is champion", pointer.version.number)


def describe_model(champion: LoadedModel) -> ModelDescription:
    """The model as responses describe it."""
    model, version = champion.model, champion.version
    return {
        "name": version.name,
        "version": version.number,
        "alias": CHAMPION,
        "horizon_days": model.horizon_days,
        "horizons": list(model.calibrator.horizons),
        "lead_days": model.label["lead_days"],
        "label_hash": model.identity["label"],
        "signal_set": model.identity["signal_set"],
        "warning": champion.warning,
    }
