"""A running service: `oarlock serve` in processes of its own, over real HTTP, and what may be done to them."""

import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import psutil

from tests.support.paths import ROOT

PATIENCE = 90
QUIET = subprocess.DEVNULL
GONE = (ProcessLookupError, psutil.NoSuchProcess, psutil.ZombieProcess)


@dataclass(frozen=True)
class Running:
    """A service that answers, with its processes."""

    client: httpx.Client
    process: psutil.Process

    def workers(self) -> list[psutil.Process]:
        """The processes that answer requests."""
        return [one for one in self.process.children(recursive=True) if "worker.service" in _words(one)]

    def kill_all(self) -> None:
        """Kill every process of the service at once, as a machine that runs out of memory would."""
        for one in [self.process, *self.process.children(recursive=True)]:
            with suppress(*GONE):
                os.kill(one.pid, signal.SIGKILL)


@dataclass
class Load:
    """Clients that score the same few accounts again and again; what each request id was answered."""

    answers: dict[str, httpx.Response] = field(default_factory=dict)
    failures: list[str] = field(default_factory=list)

    @property
    def acknowledged(self) -> set[str]:
        """The ids of the requests that were given risks."""
        return {given for given, answer in list(self.answers.items()) if answer.status_code == 200}

    @property
    def refused(self) -> list[str]:
        """What was answered to the others."""
        return [answer.text for answer in self.answers.values() if answer.status_code != 200]

    def wait_for(self, more: int) -> None:
        """Wait until so many more requests were given risks."""
        enough = len(self.acknowledged) + more
        until(lambda: len(self.acknowledged) >= enough)


@contextmanager
def serving(config: Path, **environment: str) -> Iterator[Running]:
    """`oarlock serve` in its own processes until the block ends."""
    port = _free_port()
    command = [sys.executable, str(ROOT / "oarlock.py"), "--config", str(config), "serve", "--port", str(port)]
    client = httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=30)
    given = os.environ | environment
    with client, subprocess.Popen(command, cwd=ROOT, stdout=QUIET, stderr=QUIET, env=given) as process:
        try:
            until(lambda: client.get("/livez").status_code == 200)
            yield Running(client, psutil.Process(process.pid))
        finally:
            process.terminate()


@contextmanager
def loaded(service: Running, account_ids: list[str], clients: int = 3) -> Iterator[Load]:
    """Clients that ask in threads of their own until the block ends."""
    load, over = Load(), threading.Event()
    asking = [threading.Thread(target=_ask, args=(service, account_ids, load, over)) for _ in range(clients)]
    for one in asking:
        one.start()
    try:
        yield load
    finally:
        over.set()
        for one in asking:
            one.join()


def until(holds: Callable[[], bool]) -> None:
    """Wait for something to come true; fails where it does not."""
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        try:
            if holds():
                return
        except httpx.TransportError:
            pass
        time.sleep(0.2)
    raise AssertionError("it did not come true in time")


def _ask(service: Running, account_ids: list[str], load: Load, over: threading.Event) -> None:
    asked = {"account_ids": account_ids, "drivers": 1}
    with httpx.Client(base_url=service.client.base_url, timeout=30) as client:
        while not over.is_set():
            given = f"{threading.get_ident()}-{time.monotonic_ns()}"
            try:
                load.answers[given] = client.post("/v1/score", json=asked, headers={"x-request-id": given})
            except httpx.TransportError as problem:
                load.failures.append(type(problem).__name__)
                time.sleep(0.05)


def _free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return found.getsockname()[1]


def _words(process: psutil.Process) -> str:
    with suppress(*GONE):
        return " ".join(process.cmdline())
    return ""
