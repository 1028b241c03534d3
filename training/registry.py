"""The registry: MLflow's runs, versions and aliases; the alias `champion` alone says which model answers."""

import contextlib
import io
import logging
import os
import shutil
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from importlib.metadata import version as installed_version
from pathlib import Path
from typing import Any

from configs.errors import NoChampion, NotReady
from configs.state import State, read_json, write_json
from training.model import ChurnModel, load_model, save_model

CHAMPION = "champion"
EVALUATION_FILE = "evaluation.json"
IDENTITY_TAG = "oarlock.identity"


@dataclass(frozen=True)
class Version:
    """One registered model: its number, its run, and the alias it holds."""

    name: str
    number: int
    run_id: str
    alias: str | None


@dataclass(frozen=True)
class Run:
    """All that is logged of one training: the model, what was said of it, and files for people to look at."""

    model: ChurnModel
    evaluation: dict[str, Any]
    metrics: Mapping[str, float]
    parameters: Mapping[str, Any]
    identity: str
    pictures: Path


@dataclass(frozen=True)
class Registry:
    """The registry of one state folder (MLflow on SQLite, everything under the folder)."""

    folder: Path
    name: str

    @cached_property
    def client(self) -> Any:
        os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
        import mlflow

        logging.getLogger("mlflow").setLevel(logging.ERROR)
        self.folder.mkdir(parents=True, exist_ok=True)
        mlflow.set_tracking_uri(f"sqlite:///{self.folder / 'mlflow.db'}")
        return mlflow.MlflowClient()

    @property
    def problems(self) -> type[Exception]:
        """What a registry that cannot be reached raises."""
        from mlflow.exceptions import MlflowException

        return MlflowException

    def find(self, identity: str) -> Version | None:
        """The newest version made from exactly this data, signal set, label, settings and code, if there is one."""
        for one in self.versions():
            if self.client.get_model_version(self.name, str(one.number)).tags.get(IDENTITY_TAG) == identity:
                return one
        return None

    def versions(self) -> list[Version]:
        """Every version, newest first."""
        found = self.client.search_model_versions(f"name = '{self.name}'")
        aliases = self._aliases() if found else {}
        return sorted((_version(one, aliases) for one in found), key=lambda one: -one.number)

    def log(self, run: Run) -> Version:
        """Log a run and register its model; the version appears last, so a run that was stopped leaves none."""
        import mlflow

        self._experiment()
        # MLflow says on standard error what it registered; only the front door speaks.
        silence = contextlib.redirect_stderr(io.StringIO())
        with mlflow.start_run(), tempfile.TemporaryDirectory() as scratch, silence:
            mlflow.log_params(dict(run.parameters))
            mlflow.log_metrics(dict(run.metrics))
            mlflow.log_artifacts(str(run.pictures))
            logged = _log_model(run, Path(scratch))
            made = mlflow.register_model(logged.model_uri, self.name, tags={IDENTITY_TAG: run.identity})
        return _version(made, {})

    def promote(self, number: int, note: Mapping[str, str]) -> Version:
        """Make a version the champion, with a note of why on it."""
        for key, value in note.items():
            self.client.set_model_version_tag(self.name, str(number), f"oarlock.{key}", value)
        self.client.set_registered_model_alias(self.name, CHAMPION, str(number))
        return self.get(number)

    def get(self, number: int) -> Version:
        """The version of this number; raises NotReady where there is none."""
        for one in self.versions():
            if one.number == number:
                return one
        raise NotReady(f"There is no version {number} of {self.name}.", "`oarlock train` makes one.")

    def newest(self) -> Version:
        """The version trained last; raises NotReady where none was."""
        for one in self.versions():
            return one
        raise NotReady("No model has been trained yet.", "Run `oarlock train`.")

    def champion(self) -> Version:
        """The version that answers now; raises NoChampion where none was promoted."""
        for one in self.versions():
            if one.alias == CHAMPION:
                return one
        raise NoChampion("No model has been promoted yet.", "Run `oarlock train`, then `oarlock promote`.")

    def load(self, version: Version) -> ChurnModel:
        """The model of a version."""
        return load_model(self._folder(version))

    def evaluation(self, version: Version) -> dict[str, Any]:
        """What was said of a version when it was trained."""
        return read_json(self._folder(version) / EVALUATION_FILE)

    def attach(self, version: Version, name: str, folder: Path) -> None:
        """Store a folder's files beside the version's own, under a name that is the version's alone."""
        self.client.log_artifacts(version.run_id, str(folder), f"{name}/{version.number}")

    def fetch(self, version: Version, name: str, into: Path) -> bool:
        """Copy what `attach` stored into a new folder; False where nothing was."""
        from mlflow.artifacts import download_artifacts

        path = f"{name}/{version.number}"
        if not self.client.list_artifacts(version.run_id, path):
            return False
        with tempfile.TemporaryDirectory() as scratch:
            shutil.copytree(download_artifacts(run_id=version.run_id, artifact_path=path, dst_path=scratch), into)
        return True

    def _folder(self, version: Version) -> Path:
        from mlflow.artifacts import download_artifacts

        _ = self.client  # it points MLflow at this folder
        found = download_artifacts(f"models:/{version.name}/{version.number}")
        return Path(found) / "artifacts" / "model"

    def _aliases(self) -> dict[str, str]:
        # A search answers with empty aliases (mlflow#16734), the registered model does not.
        return {str(number): alias for alias, number in self.client.get_registered_model(self.name).aliases.items()}

    def _experiment(self) -> None:
        import mlflow

        if self.client.get_experiment_by_name(self.name) is None:
            self.client.create_experiment(self.name, artifact_location=(self.folder / "artifacts").as_uri())
        mlflow.set_experiment(self.name)


def open_registry(state: State, name: str) -> Registry:
    """The registry of this state; nothing is read before it is asked something."""
    return Registry(state.mlflow, name)


def _log_model(run: Run, scratch: Path) -> Any:
    import mlflow

    folder = scratch / "model"
    folder.mkdir()
    save_model(run.model, folder)
    write_json(folder / EVALUATION_FILE, run.evaluation)
    return mlflow.pyfunc.log_model(
        name="model",
        python_model=str(Path(__file__).with_name("pyfunc.py")),
        artifacts={"model": str(folder)},
        signature=_signature(run.model),
        pip_requirements=[f"oarlock=={installed_version('oarlock')}"],
    )


def _signature(model: ChurnModel) -> Any:
    from mlflow.models import ModelSignature
    from mlflow.types import ColSpec, Schema

    kinds = {"number": "double", "category": "string"}
    # Written by hand: an inferred one would call every signal required that happened to have no gaps.
    inputs = Schema([ColSpec(kinds[one.kind], one.name, required=False) for one in model.inputs])
    return ModelSignature(inputs=inputs, outputs=Schema([ColSpec("double", "risk")]))


def _version(found: Any, aliases: Mapping[str, str]) -> Version:
    return Version(found.name, int(found.version), found.run_id, aliases.get(str(found.version)))
