"""Commands of `oarlock` in processes of their own, forked from one that has the slow imports behind it."""

import multiprocessing
import os
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing.process import BaseProcess
from pathlib import Path

CONTEXT = multiprocessing.get_context("forkserver")
PRELOADED = [
    *("oarlock", "alembic.command", "psycopg", "mlflow", "redis", "features.publishing.pipeline"),
    *("features.store.feast_store", "features.online.redis_publication", "training.pipelines.train"),
    *("training.registry.mlflow_registry", "serving.scoring.champion_pointer", "serving.security.erasure"),
]


@dataclass(frozen=True)
class CommandResult:
    """How a command ended: its exit code (negative: a signal; None: it went on too long), what it wrote, and when."""

    code: int | None
    out: str
    err: str
    seconds: float

    @property
    def last_line(self) -> str:
        """The last line on standard error, which is the error of a command that failed."""
        return (self.err.strip().splitlines() or [""])[-1]


@dataclass(frozen=True)
class CommandRunner:
    """Runs commands with a settings file and an environment; what they write goes to files in a folder."""

    config: Path
    environment: Mapping[str, str]
    folder: Path

    def run(
        self,
        *arguments: str,
        limit_seconds: float = 0.0,
        kill_after: float | None = None,
        changed: Mapping[str, str] | None = None,
    ) -> CommandResult:
        """Run a command; it is killed after a limit (or after `kill_after` seconds, by intent)."""
        with self.begin(*arguments, **(changed or {})) as (process, finish):
            process.join(limit_seconds if kill_after is None else kill_after)
            if process.is_alive() and kill_after is not None:
                process.kill()
                process.join()
            return finish()

    @contextmanager
    def begin(self, *arguments: str, **changed: str) -> Iterator[tuple[BaseProcess, Callable[[], CommandResult]]]:
        """Start a command; gives its process, and a function that tells how it ended."""
        began, number = time.monotonic(), len(list(self.folder.glob("*.out")))
        out, err = (self.folder / f"{number:03}.{suffix}" for suffix in ("out", "err"))
        command = ["--config", str(self.config), *arguments]
        process = CONTEXT.Process(target=_run, args=(command, {**self.environment, **changed}, (str(out), str(err))))
        process.start()
        out.touch()

        def finish() -> CommandResult:
            code = None if process.is_alive() else process.exitcode
            return CommandResult(code, _read(out), _read(err), time.monotonic() - began)

        try:
            yield process, finish
        finally:
            process.kill()
            process.join()


@contextmanager
def preloaded(variables: Mapping[str, str]) -> Iterator[None]:
    """Start the process that commands are forked from with these variables."""
    from multiprocessing import forkserver

    kept = {name: os.environ.get(name) for name in variables}
    CONTEXT.set_forkserver_preload(PRELOADED)
    os.environ.update(variables)
    try:
        forkserver.ensure_running()
    finally:
        for name, value in kept.items():
            os.environ.pop(name) if value is None else os.environ.update({name: value})
    yield


def _read(file: Path) -> str:
    return file.read_text() if file.exists() else ""


def _run(arguments: list[str], variables: dict[str, str], files: tuple[str, str]) -> None:
    for descriptor, file in zip((1, 2), files, strict=True):
        opened = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        os.dup2(opened, descriptor)
        os.close(opened)
    sys.stdout, sys.stderr = (os.fdopen(descriptor, "w", buffering=1, closefd=False) for descriptor in (1, 2))
    os.environ.update(variables)
    from oarlock import main

    main(arguments)
