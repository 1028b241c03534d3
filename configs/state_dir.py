"""The state folder: everything that Oarlock writes for one configuration, unless the settings name a server for it."""

import os
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

from configs.errors import ConfigError
from configs.files import write_json
from configs.sections.stores import StoreSettings
from configs.settings import Settings
from configs.stored_files import read_stored

OWNER_FILE = "owner.json"  # in each state folder: the data set that it belongs to
OWNER_ONLY, OTHERS = 0o700, 0o077


@dataclass(frozen=True)
class StateOwner:
    """The data set that a state folder belongs to: the name of its mapping, or in old folders its path."""

    dataset: str


@dataclass(frozen=True)
class StateDir:
    """The paths inside the state folder of one configuration, and the servers that hold the rest of its state."""

    folder: Path
    stores: StoreSettings = field(default_factory=StoreSettings)

    @property
    def history(self) -> Path:
        folder = self.stores.history
        return self.folder / "history" if folder is None else folder.resolve() / self.folder.name

    @property
    def feast(self) -> Path:
        return self.folder / "feast"

    @property
    def online_prefix(self) -> str:
        """What the keys of this state begin with, if its online store is a Redis."""
        return f"{self.stores.online_prefix}:{self.folder.name}"

    @property
    def mlflow(self) -> Path:
        return self.folder / "mlflow"

    @property
    def ledger(self) -> Path:
        return self.folder / "ledger.db"

    @property
    def write_ahead_log(self) -> Path:
        return self.folder / "write_ahead_log"

    @property
    def quarantine(self) -> Path:
        return self.folder / "quarantine"

    @property
    def converted(self) -> Path:
        """The tables that are read from CSV, as Parquet."""
        return self.folder / "converted"

    @property
    def copies(self) -> Path:
        """The rows of databases, as they were copied last."""
        return self.folder / "copies"

    @property
    def publication(self) -> Path:
        return self.folder / "published.json"

    @property
    def event_kinds(self) -> Path:
        """The kinds of events that got signals by themselves."""
        return self.folder / "event_kinds.json"

    @property
    def publish_lock(self) -> Path:
        """Held by the process that changes what is online or in the history."""
        return self.folder / "publish.lock"

    @property
    def daily(self) -> Path:
        """What the daily job did, by day."""
        return self.folder / "daily"

    @property
    def daily_lock(self) -> Path:
        """Held by the process that runs the daily job."""
        return self.folder / "daily.lock"

    @property
    def daily_metrics(self) -> Path:
        """The metrics of the daily job, for Prometheus."""
        return self.folder / "daily.prom"

    @property
    def champion_pointer(self) -> Path:
        """The pointer to the champion's bundle, which is in the folder `bundles`."""
        return self.folder / "champion.json"

    @property
    def shadow(self) -> Path:
        """Which version scores in shadow, beside the champion."""
        return self.folder / "shadow.json"

    @property
    def bundles(self) -> Path:
        return self.folder / "champion"

    @property
    def models(self) -> Path:
        return self.folder / "models.json"

    @property
    def monitoring(self) -> Path:
        """What monitoring measured of pairs of past days, so that it need not read them again."""
        return self.folder / "monitoring"

    def source_profile(self, as_of: datetime) -> Path:
        """What the sources held in the weeks before a published day."""
        return self.monitoring / "sources" / f"{as_of:%Y-%m-%d}.json"

    @property
    def outcomes(self) -> Path:
        """What became of accounts whose risks were served."""
        return self.folder / "outcomes.json"

    @property
    def model_report(self) -> Path:
        return self.folder / "model_report.json"

    @property
    def compiled_kernels(self) -> Path:
        return self.folder / "compiled"

    @property
    def account_table(self) -> Path:
        return self.folder / "accounts.db"

    @property
    def revenue_table(self) -> Path:
        return self.folder / "revenue.db"

    @property
    def event_tables(self) -> Path:
        """The events of all accounts, by published day."""
        return self.folder / "events"

    def event_table(self, as_of: datetime) -> Path:
        """The events of all accounts as they were known on a published day."""
        return self.event_tables / f"{as_of:%Y-%m-%d}.parquet"

    def service_folder(self, port: int) -> Path:
        """What BentoML writes while a service listens on this port: the metrics of its processes."""
        return self.folder / "service" / str(port)

    @property
    def rate_limits(self) -> Path:
        """How many requests each API key sent, for the workers of the service."""
        return self.folder / "rate_limits.bin"

    @property
    def session_secret(self) -> Path:
        """What the cookies of people who signed in are signed with; without it they sign in again."""
        return self.folder / "session.key"

    @property
    def validation(self) -> Path:
        return self.folder / "validation.json"


def open_state_dir(settings: Settings) -> StateDir:
    """The state folder of a configuration.

    Raises ConfigError if it belongs to another data set, DamagedState if it does not say to which.
    """
    state = StateDir(settings.state.resolve() / settings.name, settings.stores)
    # The data set is known by the name of its mapping, which may be moved with the state folder or without.
    owner, dataset = state.folder / OWNER_FILE, settings.data.dataset.name
    _make_private(state.folder)
    if not owner.exists():
        write_json(owner, {"dataset": dataset})
        return state
    hint = f"If the folder holds the state of {dataset}, delete the file: the next command writes it anew."
    owner_dataset = Path(read_stored(owner, StateOwner, hint).dataset).name
    if owner_dataset != dataset:
        raise ConfigError(
            f"{state.folder} holds the state of {owner_dataset}, not of {dataset}.",
            "Give this configuration another `name` or `state` in its settings.",
        )
    return state


def _make_private(folder: Path) -> None:
    """Make the folder, for its owner only: it holds accounts, keys and secrets. Another user's folder is left alone."""
    folder.mkdir(mode=OWNER_ONLY, parents=True, exist_ok=True)
    status = folder.stat()
    if status.st_uid == os.getuid() and status.st_mode & OTHERS:
        folder.chmod(OWNER_ONLY)
