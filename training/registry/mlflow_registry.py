"""The registry: MLflow's runs, versions and aliases; the alias `champion` alone says which model answers.

What happens to a version after its training is kept in tags beside it: its last duel on the version, and who became
champion when and why on the registered model, one tag an event, so that the past is only ever added to.
"""

import contextlib
import io
import json
import logging
import os
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from functools import cached_property
from importlib.metadata import version as installed_version
from pathlib import Path
from typing import Any

from configs.errors import NoChampion, NotReady
from configs.files import read_json, write_json
from configs.state_dir import State
from training.model.churn_model import ChurnModel, load_model, save_model
from training.registry.provenance import Provenance, read_provenance
from training.registry.relocation import ARTIFACTS, follow_move
from training.registry.version import CHAMPION, Version

EVALUATION_FILE, PROVENANCE_FILE = "evaluation.json", "provenance.json"
TAG = "oarlock."
IDENTITY_TAG, DUEL_TAG, EVENT_TAG = f"{TAG}identity", f"{TAG}duel", f"{TAG}champion."
# MLflow keeps 5,000 characters a tag.
MOST_SAID = 4_000


@dataclass(frozen=True)
class Run:
    """All that is logged of one training: the model, what was said of it, and files for people to look at."""

    model: ChurnModel
    evaluation: dict[str, Any]
    provenance: Provenance
    metrics: Mapping[str, float]
    parameters: Mapping[str, Any]
    identity: str
    pictures: Path


@dataclass(frozen=True)
class Entry:
    """What is kept of a version beside its model: when it was registered, its figures, and the duel it last fought."""

    version: Version
    registered_at: datetime
    figures: Mapping[str, float]
    parameters: Mapping[str, str]
    duel: Mapping[str, Any] | None


@dataclass(frozen=True)
class Event:
    """One change of the champion: which version took the place, when, how (promoted, forced, rolled back) and why."""

    number: int
    at: str
    how: str
    why: str


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
        database = self.folder / "mlflow.db"
        follow_move(database, self.name)
        mlflow.set_tracking_uri(f"sqlite:///{database}")
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

    def crown(self, event: Event) -> Version:
        """Make a version the champion, and add to the past how it came to be."""
        self.client.set_registered_model_alias(self.name, CHAMPION, str(event.number))
        place = f"{EVENT_TAG}{len(self.past()):06d}"
        kept = Event(event.number, event.at, event.how, event.why[:MOST_SAID])
        self.client.set_registered_model_tag(self.name, place, json.dumps(asdict(kept)))
        return self.get(event.number)

    def past(self) -> list[Event]:
        """Every change of the champion, oldest first."""
        tags = self.client.get_registered_model(self.name).tags
        return [Event(**json.loads(tags[key])) for key in sorted(tags) if key.startswith(EVENT_TAG)]

    def keep_duel(self, version: Version, champion: Version, document: Mapping[str, Any]) -> None:
        """Keep a duel with the challenger's run, and its verdict on the challenger."""
        self.client.log_dict(version.run_id, dict(document), _duel_file(champion.number))
        reasons = "; ".join(document["reasons"])[:MOST_SAID]
        said = {"against": champion.number, "verdict": document["verdict"], "why": reasons}
        self.client.set_model_version_tag(self.name, str(version.number), DUEL_TAG, json.dumps(said))

    def duel(self, version: Version) -> dict[str, Any] | None:
        """The verdict of the last duel of a version (against, verdict, why); None where it fought none."""
        said = self.client.get_model_version(self.name, str(version.number)).tags.get(DUEL_TAG)
        return json.loads(said) if said else None

    def duel_document(self, version: Version, champion: int) -> dict[str, Any]:
        """The whole of a duel that was kept; raises NotReady where there is none."""
        from mlflow.artifacts import load_dict
        from mlflow.exceptions import MlflowException

        _ = self.client  # it points MLflow at this folder
        try:
            return load_dict(f"runs:/{version.run_id}/{_duel_file(champion)}")
        except MlflowException:
            hint = f"Run `oarlock duel {version.number} --against {champion}`."
            raise NotReady(f"Version {version.number} was never held against version {champion}.", hint) from None

    @contextlib.contextmanager
    def pictures(self, version: Version) -> Iterator[Path]:
        """A folder with what was drawn and written for people when a version was made, until the block ends."""
        from mlflow.artifacts import download_artifacts

        _ = self.client  # it points MLflow at this folder
        with tempfile.TemporaryDirectory() as scratch:
            yield Path(download_artifacts(f"runs:/{version.run_id}/", dst_path=scratch))

    def entries(self) -> list[Entry]:
        """What is kept of every version, newest first."""
        return [self._entry(version) for version in self.versions()]

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
        """The model of a version; raises NotReady for one that was written in a form that is no longer read."""
        try:
            return load_model(self._folder(version))
        except (KeyError, TypeError):
            message = f"Version {version.number} was written in a form that is no longer read."
            raise NotReady(message, "Train again, or check out the code that it was made by.") from None

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

    def provenance(self, version: Version) -> Provenance | None:
        """What a version was made from; None where that was not kept yet when it was made."""
        file = self._folder(version) / PROVENANCE_FILE
        return read_provenance(read_json(file)) if file.exists() else None

    def of_run(self, run_id: str) -> Version:
        """The version that a run made; raises NotReady where it made none."""
        for one in self.versions():
            if one.run_id == run_id:
                return one
        raise NotReady(f"The run {run_id} made no version of {self.name}.", "`oarlock models` shows those there are.")

    def _entry(self, version: Version) -> Entry:
        found = self.client.get_model_version(self.name, str(version.number))
        run = self.client.get_run(version.run_id).data
        at = datetime.fromtimestamp(found.creation_timestamp / 1000, UTC).replace(tzinfo=None)
        duel = found.tags.get(DUEL_TAG)
        return Entry(version, at, run.metrics, run.params, json.loads(duel) if duel else None)

    def _folder(self, version: Version) -> Path:
        from mlflow.artifacts import download_artifacts

        _ = self.client  # it points MLflow at this folder
        found = download_artifacts(f"models:/{version.name}/{version.number}")
        return Path(found) / "artifacts" / "model"

    def _aliases(self) -> dict[str, str]:
        """The alias of each version that has one; that of the champion where it has several."""
        # A search answers with empty aliases (mlflow#16734), the registered model does not.
        found = self.client.get_registered_model(self.name).aliases
        return {str(found[alias]): alias for alias in sorted(found, key=lambda alias: alias == CHAMPION)}

    def _experiment(self) -> None:
        import mlflow

        if self.client.get_experiment_by_name(self.name) is None:
            self.client.create_experiment(self.name, artifact_location=(self.folder / ARTIFACTS).as_uri())
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
    write_json(folder / PROVENANCE_FILE, run.provenance.document())
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


def _duel_file(champion: int) -> str:
    return f"duels/against_{champion}.json"


def _version(found: Any, aliases: Mapping[str, str]) -> Version:
    return Version(found.name, int(found.version), found.run_id, aliases.get(str(found.version)))
