"""One invocation of the front door: its settings and state, opened when first needed, and how it speaks."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    import sqlalchemy
    from rich.console import Console

    from configs.settings import Settings
    from configs.state_dir import State

DAY = click.DateTime(["%Y-%m-%d"])
AS_OF = click.option(
    "--as-of", type=DAY, help="The day to look at; today, or the last day of finished data, where left out."
)
AS_JSON = click.option("--json", "as_json", is_flag=True, help="Print JSON for machines.")


class Oarlock:
    """One invocation: its settings and state, opened when first needed, and how it speaks."""

    def __init__(self, config: Path) -> None:
        self.config = config
        self.speaks_json = False

    @property
    def settings(self) -> "Settings":
        from configs.settings import read_settings

        return read_settings(self.config)

    @property
    def state(self) -> "State":
        from configs.state_dir import open_state

        return open_state(self.settings)

    @property
    def database(self) -> "sqlalchemy.Engine":
        """The database of the ledger, the keys and the webhooks."""
        from serving.ledger.ledger import open_ledger

        return open_ledger(self.settings, self.state).engine

    @property
    def actor(self) -> str:
        """Who runs the command, for the audit."""
        import getpass

        return getpass.getuser()

    def audit(self, action: str, subject: str = "", **detail: object) -> None:
        """Record that whoever runs the command did this."""
        from configs.clock import now
        from serving.security.audit_log import record

        record(self.database, now(), self.actor, action, subject=subject, **detail)

    @property
    def today(self) -> datetime:
        from configs.clock import today
        from features.tables.mapping import read_dataset

        return today(read_dataset(self.settings.data).observed_until)

    @property
    def known_until(self) -> datetime:
        from configs.clock import now
        from features.tables.mapping import read_dataset

        return read_dataset(self.settings.data).observed_until or now()

    @property
    def console(self) -> "Console":
        from rich.console import Console

        return Console(stderr=self.speaks_json)

    @contextmanager
    def progress(self, what: str) -> Iterator[Callable[[str, int, int], None]]:
        """A progress bar on standard error; silent where that is not a terminal."""
        from rich.console import Console
        from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

        console, columns = Console(stderr=True), (TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn())
        # Where there is no terminal a bar would leave an empty line behind.
        with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as bar:
            task = bar.add_task(what)
            yield lambda step, done, of: bar.update(task, description=f"{what}: {step}", completed=done, total=of)
