"""The state folder: where one configuration keeps everything it makes, apart from every other configuration."""

import fcntl
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from configs.errors import Busy, ConfigError
from configs.settings import Settings


@dataclass(frozen=True)
class State:
    """The places under one configuration's folder."""

    folder: Path

    @property
    def history(self) -> Path:
        return self.folder / "history"

    @property
    def queries(self) -> Path:
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
    def journal(self) -> Path:
        return self.folder / "journal"

    @property
    def quarantine(self) -> Path:
        return self.folder / "quarantine"

    @property
    def published(self) -> Path:
        return self.folder / "published.json"

    @property
    def champion(self) -> Path:
        """The pointer to the version that answers; the bundles stand in the folder of the same name."""
        return self.folder / "champion.json"

    @property
    def bundles(self) -> Path:
        return self.folder / "champion"

    @property
    def models(self) -> Path:
        return self.folder / "models.json"

    @property
    def compiled(self) -> Path:
        return self.folder / "compiled"

    @property
    def facts(self) -> Path:
        return self.folder / "accounts.db"

    @property
    def checked(self) -> Path:
        return self.folder / "checked.json"


def open_state(settings: Settings) -> State:
    """The state of this configuration; refuses a folder that belongs to another data set."""
    state = State(settings.state.resolve() / settings.name)
    # By its name: the mapping may be moved, with its state or without.
    owner, dataset = state.folder / "owner.json", settings.data.dataset.name
    if not owner.exists():
        write_json(owner, {"dataset": dataset})
    elif (of := Path(read_json(owner)["dataset"]).name) != dataset:
        raise ConfigError(
            f"{state.folder} holds the state of {of}, not of {dataset}.",
            "Give this configuration another `name` or `state`.",
        )
    return state


def read_json(path: Path) -> Any:
    """What the JSON file holds."""
    return json.loads(path.read_text("utf-8"))


def write_json(path: Path, content: object) -> None:
    """Write the whole file or nothing."""
    with replacing(path) as temporary:
        temporary.write_text(json.dumps(content, indent=1, sort_keys=True), "utf-8")


@contextmanager
def alone(path: Path, work: str) -> Iterator[None]:
    """Hold the lock at `path` while the block runs; raises Busy where another process holds it.

    The lock is the operating system's and goes with its process, so one that was killed leaves none behind.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w") as opened:
        try:
            fcntl.flock(opened, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise Busy(f"Another process is {work} {path.parent}.", "Run it again when that one has ended.") from None
        yield


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """A temporary path that takes the place of `path` when the block ends well, and vanishes when it does not."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        yield temporary
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)
