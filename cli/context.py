"""The context of a command: its settings and state folder, opened when first needed, and how it prints."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    import sqlalchemy

    from configs.errors import OarlockError
    from configs.progress import Progress
    from configs.settings import Settings
    from configs.state_dir import StateDir
    from serving.ledger.ledger import Ledger
    from serving.schemas.enums import AuditAction
    from serving.scoring.scorer import Scorer
    from training.registry.mlflow_registry import Registry


class CliContext:
    """The settings and the state folder of a command, opened when first needed, and how it prints."""

    def __init__(self, config: Path) -> None:
        self.config = config
        self.as_json = False

    def use_config(self, config: Path) -> None:
        """Take the settings from another file from now on."""
        self.config = config
        for name in ("settings", "state", "registry", "ledger"):
            self.__dict__.pop(name, None)

    @cached_property
    def settings(self) -> "Settings":
        from configs.settings_file import read_settings

        return read_settings(self.config)

    @cached_property
    def state(self) -> "StateDir":
        from configs.state_dir import open_state_dir

        return open_state_dir(self.settings)

    @cached_property
    def registry(self) -> "Registry":
        from training.registry.mlflow_registry import open_registry

        return open_registry(self.state, self.settings.name)

    @cached_property
    def ledger(self) -> "Ledger":
        from serving.ledger.ledger import open_ledger

        return open_ledger(self.settings, self.state)

    @property
    def database(self) -> "sqlalchemy.Engine":
        """The database of the ledger, the keys, the audit and the webhooks."""
        return self.ledger.engine

    @property
    def known_until(self) -> datetime:
        """The last instant that the data set knows: now, or its end if it is finished."""
        from configs.clock import now
        from features.tables.dataset import read_dataset

        return read_dataset(self.settings.data).observed_until or now()

    @property
    def today(self) -> datetime:
        """The day to publish by default: today, or the last day of a finished data set."""
        from configs.clock import today
        from features.tables.dataset import read_dataset

        return today(read_dataset(self.settings.data).observed_until)

    def open_scorer(self) -> "Scorer":
        """A scorer for which time ends where the data set ends."""
        from configs.clock import now
        from serving.scoring.scorer import open_scorer

        end = self.known_until
        return open_scorer(self.settings, self.state, lambda: min(end, now()), self.ledger)

    def recover_ledger(self) -> "Ledger":
        """The ledger, with every risk that a killed process left in its write-ahead log."""
        from configs.clock import now
        from serving.ledger.writer import recover_orphaned_segments

        recover_orphaned_segments(self.ledger, self.state.write_ahead_log, now)
        return self.ledger

    def record_audit(self, action: "AuditAction", subject: str = "", **detail: object) -> None:
        """Record in the audit that the current user did this."""
        from configs.clock import now
        from serving.security.audit_log import append_audit_event

        append_audit_event(self.database, now(), _current_user(), action, subject=subject, **detail)

    def find_unreadable_file(self) -> "OarlockError | None":
        """The error for the first Parquet file of the data set or the state folder that cannot be read, if any is."""
        from configs.errors import DataError
        from configs.stored_files import damaged
        from features.compute.backends.parquet_files import find_unreadable
        from features.tables.dataset import read_dataset

        sources = [file for files in read_dataset(self.settings.data).files.values() for file in files]
        if unreadable := find_unreadable(file for file in sources if file.suffix == ".parquet"):
            return DataError(f"Cannot read {unreadable[0]}: {unreadable[1]}.", "Write the file again.")
        if unreadable := find_unreadable(sorted(self.state.folder.rglob("*.parquet"))):
            return damaged(*unreadable, "Delete it and run `oarlock publish`.")
        return None

    def echo(self, message: str) -> None:
        """Print a line for people: to standard error if JSON goes to standard output."""
        click.echo(message, err=self.as_json)

    @contextmanager
    def progress(self, title: str) -> Iterator["Progress"]:
        """A progress bar on standard error; without a terminal, a line every half minute."""
        from rich.console import Console

        from cli.terminal.progress import progress_bar, progress_lines

        console = Console(stderr=True)
        with progress_bar(title, console) if console.is_terminal else progress_lines(title) as report:
            yield report


def _choose_json(context: click.Context, _: click.Parameter, as_json: bool) -> None:
    context.obj.as_json = as_json


class _AccountId(click.ParamType):
    """An account's id in its one form; any other is refused with what is wrong with it."""

    name = "account"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """The id as it is. Raises RequestError."""
        from configs.account_ids import account_id_fault
        from configs.errors import RequestError

        del param, ctx
        text = str(value)
        if fault := account_id_fault(text):
            raise RequestError(f"{fault[:1].upper()}{fault[1:]}.", "Name it as `oarlock score --all` lists it.")
        return text


ACCOUNT = _AccountId()
DAY = click.DateTime(["%Y-%m-%d"])
FILE = click.Path(path_type=Path)
JSON = click.option("--json", is_flag=True, expose_value=False, callback=_choose_json, help="Print JSON.")


def _current_user() -> str:
    """The name of the user of this process; the variables of its environment can say anything."""
    import pwd

    try:
        return pwd.getpwuid(os.getuid()).pw_name
    except KeyError:
        return f"uid {os.getuid()}"
