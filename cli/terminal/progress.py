"""How long work shows its progress: a bar on a terminal, else a line every half minute."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from rich.console import Console

    from configs.progress import Progress

SECONDS_BETWEEN_LINES = 30.0


@contextmanager
def progress_bar(title: str, console: "Console") -> Iterator["Progress"]:
    """A bar that is gone when the work is done."""
    from rich.progress import BarColumn, TextColumn, TimeElapsedColumn
    from rich.progress import Progress as ProgressBar

    columns = (TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn())
    with ProgressBar(*columns, console=console, transient=True) as bar:
        task = bar.add_task(title)
        yield lambda step, done, of: bar.update(task, description=f"{title}: {step}", completed=done, total=of)


@contextmanager
def progress_lines(title: str, seconds: float = SECONDS_BETWEEN_LINES) -> Iterator["Progress"]:
    """A line on standard error every few seconds, so that the log of a scheduler shows that the work goes on."""
    from threading import Event

    from configs.background import BackgroundTask

    step, stopping = _CurrentStep(title), Event()
    BackgroundTask("progress", step.print, seconds).start(stopping)
    try:
        yield step.report
    finally:
        stopping.set()


class _CurrentStep:
    """The step that long work is at."""

    def __init__(self, title: str) -> None:
        self._title, self._line = title, title

    def report(self, step: str, done: int, of: int) -> None:
        self._line = f"{self._title}: {step}, {done:,} of {of:,}"

    def print(self) -> None:
        click.echo(self._line, err=True)
