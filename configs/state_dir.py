"""The state folder: where one configuration keeps everything it makes, apart from every other configuration."""

from dataclasses import dataclass
from pathlib import Path

from configs.errors import ConfigError
from configs.files import read_json, write_json
from configs.settings import Settings


@dataclass(frozen=True)
class StateDir:
    """The places under one configuration's folder."""

    folder: Path

    @property
    def history(self) -> Path:
        return self.folder / "history"

    @property
    def sql_cache(self) -> Path:
        return self.folder / "queries"

    @property
    def feast(self) -> Path:
        return self.folder / "feast"

    @property
    def mlflow(self) -> Path:
        return self.folder / "mlflow"

    @property
    def ledger(self) -> Path:
        return self.folder / "ledger.db"

    @property
    def write_ahead_log(self) -> Path:
        return self.folder / "journal"

    @property
    def quarantine(self) -> Path:
        return self.folder / "quarantine"

    @property
    def publication(self) -> Path:
        return self.folder / "published.json"

    @property
    def champion_pointer(self) -> Path:
        """The pointer to the version that answers; the bundles stand in the folder of the same name."""
        return self.folder / "champion.json"

    @property
    def bundles(self) -> Path:
        return self.folder / "champion"

    @property
    def models(self) -> Path:
        return self.folder / "models.json"

    @property
    def compiled_kernels(self) -> Path:
        return self.folder / "compiled"

    @property
    def account_table(self) -> Path:
        return self.folder / "accounts.db"

    @property
    def validation(self) -> Path:
        return self.folder / "checked.json"


def open_state_dir(settings: Settings) -> StateDir:
    """The state of this configuration; refuses a folder that belongs to another data set."""
    state = StateDir(settings.state.resolve() / settings.name)
    # By its name: the mapping may be moved, with its state or without.
    owner, dataset = state.folder / "owner.json", settings.data.dataset.name
    if not owner.exists():
        write_json(owner, {"dataset": dataset})
    elif (owner_dataset := Path(read_json(owner)["dataset"]).name) != dataset:
        raise ConfigError(
            f"{state.folder} holds the state of {owner_dataset}, not of {dataset}.",
            "Give this configuration another `name` or `state`.",
        )
    return state
