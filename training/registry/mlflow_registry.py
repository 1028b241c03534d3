"""The registry: MLflow's runs, versions and aliases; the alias `champion` alone decides which version is served.

What happens to a version after its training is stored in tags: its last comparison on the version itself, and each
change of the champion on the registered model, one tag per event, so that the history is only ever added to.
"""

# MLflow's signatures are typed in part only.
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false

import contextlib
import io
import json
import logging
import os
import shutil
import sqlite3
import tempfile
from collections.abc import Callable, Generator, Mapping
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Literal, cast

from pydantic import ValidationError

from configs.errors import NoChampion, NotReady, OarlockError
from configs.files import JsonObject, sqlite_url
from configs.sections.stores import StoreSettings
from configs.servers.faults import mlflow_unreachable
from configs.servers.postgres import watch_postgres, with_driver
from configs.state_dir import StateDir
from configs.stored_files import damaged, find_full_disk, read_stored
from training.model.churn_model import ChurnModel, load_model
from training.registry.comparison_record import ComparisonRecord, LastComparison
from training.registry.provenance import Provenance, read_provenance
from training.registry.relocation import ARTIFACTS, relocate_artifacts
from training.registry.training_run import EVALUATION_FILE, PROVENANCE_FILE, TrainingRun, log_model
from training.registry.version import CHAMPION, Version

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities.model_registry import ModelVersion

    from training.registry.evaluation_record import EvaluationRecord

DATABASE = "mlflow.db"
RETRAIN = "Run `oarlock train`, or use the release that trained it."
TAG = "oarlock."
IDENTITY_TAG, COMPARISON_TAG, EVENT_TAG = f"{TAG}identity", f"{TAG}comparison", f"{TAG}champion."
# Without limits MLflow asks a server that is down again for minutes; and it prints addresses between a command's JSON.
MLFLOW_ENVIRONMENT = {
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1",
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "20",
}
MAX_TAG_LENGTH = 4_000  # MLflow stores 5,000 characters per tag

ChampionAction = Literal["promoted", "forced", "rolled back"]


@dataclass(frozen=True)
class VersionRecord:
    """What is stored of a version beside its model: when it was registered, its metrics, and its last comparison."""

    version: Version
    registered_at: datetime
    metrics: Mapping[str, float]
    parameters: Mapping[str, str]
    comparison: LastComparison | None


@dataclass(frozen=True)
class ChampionEvent:
    """One change of the champion: the new champion, when, how and why."""

    version: int
    at: str
    action: ChampionAction
    reason: str


@dataclass(frozen=True)
class MlflowServer:
    """MLflow's server, or the database that one would use, and where new experiments keep their files."""

    tracking_uri: str = field(repr=False)
    artifacts: str | None = None

    @property
    def is_database(self) -> bool:
        return not self.tracking_uri.startswith(("http://", "https://"))


@dataclass(frozen=True)
class Registry:
    """The registry of one state folder: MLflow on SQLite, with every file below the folder, or on a server."""

    folder: Path
    name: str
    server: MlflowServer | None = None

    @cached_property
    def client(self) -> "MlflowClient":
        for variable, value in MLFLOW_ENVIRONMENT.items():
            os.environ.setdefault(variable, value)
        import mlflow

        logging.getLogger("mlflow").setLevel(logging.ERROR)
        if self.server is not None:
            return self._connect(self.server)
        self.folder.mkdir(parents=True, exist_ok=True)
        database = self.folder / DATABASE
        mlflow.set_tracking_uri(sqlite_url(database))
        with self._reading_database():
            relocate_artifacts(database, self.name)
            client = mlflow.MlflowClient()
            client.search_registered_models(max_results=1)
            return client

    @property
    def artifact_location(self) -> str | None:
        """Where a new experiment keeps its files; None: where the server says."""
        if self.keeps_files_in_folder:
            return (self.folder / ARTIFACTS).as_uri()
        return self.server.artifacts if self.server else None

    @property
    def keeps_files_in_folder(self) -> bool:
        """Whether the files of new experiments are below its folder."""
        return self.server is None or (self.server.artifacts is None and self.server.is_database)

    @property
    def error_type(self) -> type[Exception]:
        """What is raised if the registry cannot be reached."""
        from mlflow.exceptions import MlflowException

        return MlflowException

    def versions(self) -> list[Version]:
        """Every version, newest first."""
        versions = self.client.search_model_versions(f"name = '{self.name}'")
        aliases = self._aliases() if versions else {}
        return sorted((_version(version, aliases) for version in versions), key=lambda version: -version.number)

    def version_records(self) -> list[VersionRecord]:
        """What is stored of every version, newest first."""
        return [self._version_record(version) for version in self.versions()]

    def get(self, number: int) -> Version:
        """The version of this number; raises NotReady if there is none."""
        missing = NotReady(f"There is no version {number} of {self.name}.", "Run `oarlock models list` to see them.")
        return self._first(lambda version: version.number == number, missing)

    def newest(self) -> Version:
        """The version that was trained last; raises NotReady if there is none."""
        return self._first(lambda _: True, NotReady("No model has been trained yet.", "Run `oarlock train`."))

    def champion(self) -> Version:
        """The version that is served; raises NoChampion if none was promoted."""
        missing = NoChampion("No model has been promoted yet.", "Run `oarlock train`, then `oarlock promote`.")
        return self._first(lambda version: version.alias == CHAMPION, missing)

    def find_champion(self) -> Version | None:
        """The version that is served; None if none was promoted."""
        return next((version for version in self.versions() if version.alias == CHAMPION), None)

    def find_rival(self, version: Version) -> Version | None:
        """The version that is served, if it is another one; None otherwise."""
        champion = self.find_champion()
        return None if champion is None or champion.number == version.number else champion

    def version_of_run(self, run_id: str) -> Version:
        """The version that a run registered; raises NotReady if it registered none."""
        message = f"The run {run_id} registered no version of {self.name}."
        missing = NotReady(message, "Run `oarlock models list` to see the versions.")
        return self._first(lambda version: version.run_id == run_id, missing)

    def find_by_identity(self, identity: str) -> Version | None:
        """The newest version from exactly this data, signal set, label, settings and code, if there is one."""
        for version in self.versions():
            if self._model_version(version).tags.get(IDENTITY_TAG) == identity:
                return version
        return None

    def log_run(self, run: TrainingRun) -> Version:
        """Log a run and register its model; the version appears last, so a run that was stopped leaves none."""
        import mlflow

        self._select_experiment()
        # MLflow prints to standard error what it registered; only commands print.
        silence = contextlib.redirect_stderr(io.StringIO())
        with mlflow.start_run(), tempfile.TemporaryDirectory() as scratch, silence:
            mlflow.log_params(dict(run.parameters))
            mlflow.log_metrics(dict(run.metrics))
            mlflow.log_artifacts(str(run.report_folder))
            logged = log_model(run, Path(scratch))
            registered = mlflow.register_model(logged.model_uri, self.name, tags={IDENTITY_TAG: run.identity})
        return _version(registered, {})

    def set_champion(self, event: ChampionEvent) -> Version:
        """Make a version the champion, and add the event to the history."""
        self.client.set_registered_model_alias(self.name, CHAMPION, str(event.version))
        key = f"{EVENT_TAG}{len(self.champion_history()):06d}"
        content = asdict(event) | {"reason": event.reason[:MAX_TAG_LENGTH]}
        self.client.set_registered_model_tag(self.name, key, json.dumps(content))
        return self.get(event.version)

    def champion_history(self) -> list[ChampionEvent]:
        """Every change of the champion, oldest first."""
        tags: dict[str, str] = self.client.get_registered_model(self.name).tags
        return [ChampionEvent(**json.loads(tags[key])) for key in sorted(tags) if key.startswith(EVENT_TAG)]

    def save_comparison(self, challenger: Version, champion: Version, record: ComparisonRecord) -> None:
        """Store a comparison with the challenger's run, and its verdict on the challenger."""
        self.client.log_dict(challenger.run_id, dict(record), _comparison_file(champion.number))
        last = LastComparison(
            compared_with=champion.number,
            verdict=record["verdict"],
            reason="; ".join(record["reasons"])[:MAX_TAG_LENGTH],
        )
        self.client.set_model_version_tag(self.name, str(challenger.number), COMPARISON_TAG, json.dumps(last))

    def last_comparison(self, version: Version) -> LastComparison | None:
        """The verdict of the last comparison of a version; None if it was never compared."""
        return _last_comparison(self._model_version(version))

    def load_comparison(self, version: Version, champion: int) -> ComparisonRecord:
        """The full record of a comparison; raises NotReady if there is none."""
        from mlflow.artifacts import load_dict

        _ = self.client  # it points MLflow at this folder
        try:
            return cast(ComparisonRecord, load_dict(f"runs:/{version.run_id}/{_comparison_file(champion)}"))
        except self.error_type:
            message = f"Version {version.number} was never compared with version {champion}."
            raise NotReady(message, f"Run `oarlock compare {version.number} --with {champion}`.") from None

    def load_model(self, version: Version) -> ChurnModel:
        """The model of a version; raises NotReady if it is damaged, or stored in a format that is no longer read."""
        folder = self._model_folder(version)
        try:
            return load_model(folder)
        except (KeyError, TypeError, ValueError, AttributeError, OSError) as error:
            raise _unreadable(version, folder, error) from None

    def evaluation(self, version: Version) -> "EvaluationRecord":
        """The evaluation of a version; raises NotReady without one, if it is damaged, or its format no longer read."""
        from training.registry.evaluation_record import read_evaluation

        file = self._model_folder(version) / EVALUATION_FILE
        try:
            return read_evaluation(read_stored(file, JsonObject, RETRAIN))
        except (FileNotFoundError, ValidationError) as error:
            raise _unreadable(version, file, error) from None

    def provenance(self, version: Version) -> Provenance | None:
        """What a version was trained from; None if that was not stored.

        Raises NotReady if it is damaged, or stored in a format that is no longer read.
        """
        file = self._model_folder(version) / PROVENANCE_FILE
        try:
            return read_provenance(read_stored(file, JsonObject, RETRAIN)) if file.exists() else None
        except ValidationError as error:
            raise _unreadable(version, file, error) from None

    @contextlib.contextmanager
    def download_report(self, version: Version) -> Generator[Path, None, None]:
        """A temporary folder with the model card and the plots of a version, until the block ends."""
        from mlflow.artifacts import download_artifacts

        _ = self.client  # it points MLflow at this folder
        with tempfile.TemporaryDirectory() as scratch:
            yield Path(download_artifacts(f"runs:/{version.run_id}/", dst_path=scratch))

    def upload_artifact(self, version: Version, name: str, folder: Path) -> None:
        """Store the files of a folder with a version, under a name."""
        self.client.log_artifacts(version.run_id, str(folder), f"{name}/{version.number}")

    def download_artifact(self, version: Version, name: str, target: Path) -> bool:
        """Copy what `upload_artifact` stored into a new folder; False if nothing was stored."""
        from mlflow.artifacts import download_artifacts

        path = f"{name}/{version.number}"
        if not self.client.list_artifacts(version.run_id, path):
            return False
        with tempfile.TemporaryDirectory() as scratch:
            shutil.copytree(download_artifacts(run_id=version.run_id, artifact_path=path, dst_path=scratch), target)
        return True

    def download_files(self, location: str, target: Path) -> None:
        """Copy every file below a location of MLflow into a new folder."""
        from mlflow.artifacts import download_artifacts

        _ = self.client  # it points MLflow at its server
        target.mkdir(parents=True)
        with tempfile.TemporaryDirectory(dir=target.parent) as scratch:
            downloaded = Path(download_artifacts(artifact_uri=location, dst_path=scratch))
            shutil.copytree(downloaded, target, dirs_exist_ok=True, copy_function=shutil.move)

    def upload_files(self, source: Path, location: str) -> None:
        """Store every file of a folder below a location of MLflow."""
        from mlflow.store.artifact.artifact_repository_registry import get_artifact_repository

        _ = self.client  # it points MLflow at its server
        get_artifact_repository(location).log_artifacts(str(source))

    def _first(self, is_match: Callable[[Version], bool], missing: OarlockError) -> Version:
        version = next(filter(is_match, self.versions()), None)
        if version is None:
            raise missing
        return version

    def _version_record(self, version: Version) -> VersionRecord:
        stored, run = self._model_version(version), self.client.get_run(version.run_id).data
        at = datetime.fromtimestamp(stored.creation_timestamp / 1000, UTC).replace(tzinfo=None)
        return VersionRecord(version, at, run.metrics, run.params, _last_comparison(stored))

    def _model_version(self, version: Version) -> "ModelVersion":
        return self.client.get_model_version(self.name, str(version.number))

    def _model_folder(self, version: Version) -> Path:
        from mlflow.artifacts import download_artifacts

        _ = self.client  # it points MLflow at this folder
        try:
            return Path(download_artifacts(f"models:/{version.name}/{version.number}")) / "artifacts" / "model"
        except (self.error_type, OSError) as error:
            if self.server is not None:
                raise mlflow_unreachable(error) from None
            raise damaged(self.folder / ARTIFACTS, f"the files of version {version.number}: {error}", RETRAIN) from None

    def _connect(self, server: MlflowServer) -> "MlflowClient":
        """A client of a server, or of the database that a server uses; raises NotReady if it cannot be reached."""
        import mlflow
        from sqlalchemy.exc import SQLAlchemyError

        watch_postgres()
        try:
            mlflow.set_tracking_uri(server.tracking_uri)
            client = mlflow.MlflowClient()
            client.search_registered_models(max_results=1)
        except (self.error_type, SQLAlchemyError, OSError) as error:
            raise mlflow_unreachable(error) from None
        return client

    @contextlib.contextmanager
    def _reading_database(self) -> Generator[None, None, None]:
        """Raise DamagedState if MLflow cannot read its database, StorageFull if it cannot bring it up to date."""
        from sqlalchemy.exc import SQLAlchemyError

        try:
            yield
        except (sqlite3.Error, SQLAlchemyError, self.error_type) as error:
            hint = "Restore it from a backup, or move the folder away and run `oarlock train`."
            raise find_full_disk(error) or damaged(self.folder / DATABASE, str(error), hint) from None

    def _aliases(self) -> dict[str, str]:
        """The alias of each version that has one; `champion` if it has several."""
        # A search returns empty aliases (mlflow#16734), the registered model does not.
        versions: dict[str, int] = self.client.get_registered_model(self.name).aliases
        return {str(versions[alias]): alias for alias in sorted(versions, key=lambda alias: alias == CHAMPION)}

    def _select_experiment(self) -> None:
        import mlflow

        if self.client.get_experiment_by_name(self.name) is None:
            self.client.create_experiment(self.name, artifact_location=self.artifact_location)
        mlflow.set_experiment(self.name)


def open_registry(state: StateDir, name: str) -> Registry:
    """The registry of this state folder; nothing is read yet."""
    return Registry(state.mlflow, name, mlflow_server(state.stores))


def mlflow_server(stores: StoreSettings) -> MlflowServer | None:
    """The server that the settings name; None if MLflow is in the state folder."""
    if stores.mlflow is None:
        return None
    return MlflowServer(with_driver(stores.mlflow.get_secret_value()), stores.mlflow_artifacts)


def mlflow_database(stores: StoreSettings) -> str | None:
    """The URL of the database behind the server that the settings name; None if they do not name it."""
    server = mlflow_server(stores)
    if server is None:
        return None
    if server.is_database:
        return server.tracking_uri
    return None if stores.mlflow_database is None else with_driver(stores.mlflow_database.get_secret_value())


def create_database(file: Path) -> None:
    """Make a file of SQLite with the empty tables of MLflow."""
    for variable, value in MLFLOW_ENVIRONMENT.items():
        os.environ.setdefault(variable, value)
    from mlflow import MlflowClient

    MlflowClient(sqlite_url(file)).search_experiments(max_results=1)


def _unreadable(version: Version, path: Path, error: Exception) -> NotReady:
    fault = f"{type(error).__name__}, so version {version.number} is damaged or of a release with another format"
    return damaged(path, fault, RETRAIN)


def _comparison_file(champion: int) -> str:
    return f"comparisons/with_{champion}.json"


def _last_comparison(stored: "ModelVersion") -> LastComparison | None:
    content = stored.tags.get(COMPARISON_TAG)
    return json.loads(content) if content else None


def _version(stored: "ModelVersion", aliases: Mapping[str, str]) -> Version:
    run_id = stored.run_id or ""
    return Version(stored.name, int(stored.version), run_id, aliases.get(str(stored.version)))
