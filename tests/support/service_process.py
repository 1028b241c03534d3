"""`oarlock serve` in processes of its own, requested over real HTTP."""

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

TIMEOUT_SECONDS = 90
DISCARD = subprocess.DEVNULL
PROCESS_ENDED = (ProcessLookupError, psutil.NoSuchProcess, psutil.ZombieProcess)


@dataclass(frozen=True)
class RunningService:
    """A service that is up, its main process, and a client of it."""

    client: httpx.Client
    process: psutil.Process

    def workers(self) -> list[psutil.Process]:
        """The processes that answer requests."""
        return self._children("worker.service")

    def watchers(self) -> list[psutil.Process]:
        """The processes that follow MLflow's alias of the champion."""
        return self._children("champion_watcher")

    def _children(self, module: str) -> list[psutil.Process]:
        return [process for process in self.process.children(recursive=True) if module in _command_line(process)]

    def kill_all(self) -> None:
        """Kill every process of the service at once, as when a machine runs out of memory."""
        with suppress(*PROCESS_ENDED):
            for process in [self.process, *self.process.children(recursive=True)]:
                with suppress(*PROCESS_ENDED):
                    os.kill(process.pid, signal.SIGKILL)


@dataclass
class ClientLoad:
    """Clients that score the same few accounts over and over: the response to each request id, and failed requests."""

    responses: dict[str, httpx.Response] = field(default_factory=dict)
    failures: list[str] = field(default_factory=list)

    @property
    def acknowledged(self) -> set[str]:
        """The ids of the requests that were answered with risks."""
        return {request_id for request_id, response in self.responses.copy().items() if response.status_code == 200}

    @property
    def errors(self) -> list[str]:
        """The bodies of all other responses."""
        return [response.text for response in self.responses.copy().values() if response.status_code != 200]

    def wait_for(self, count: int) -> None:
        """Wait until this number of further requests were answered with risks."""
        target = len(self.acknowledged) + count
        wait_until(lambda: len(self.acknowledged) >= target)


@contextmanager
def run_service(config: Path, folder: Path = ROOT, /, **environment: str) -> Iterator[RunningService]:
    """Run `oarlock serve` from a folder, in processes of its own, until the block ends."""
    port = free_port()
    command = [sys.executable, str(ROOT / "oarlock.py"), "--config", str(config), "serve", "--port", str(port)]
    client = httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=30)
    variables = os.environ | environment
    with client, subprocess.Popen(command, cwd=folder, stdout=DISCARD, stderr=DISCARD, env=variables) as process:
        try:
            wait_until(lambda: client.get("/livez").status_code == 200)
            yield RunningService(client, psutil.Process(process.pid))
        finally:
            process.terminate()


@contextmanager
def apply_load(service: RunningService, account_ids: list[str], clients: int = 3) -> Iterator[ClientLoad]:
    """Send requests from several threads until the block ends."""
    load, stop = ClientLoad(), threading.Event()
    threads = [threading.Thread(target=_send_requests, args=(service, account_ids, load, stop)) for _ in range(clients)]
    for thread in threads:
        thread.start()
    try:
        yield load
    finally:
        stop.set()
        for thread in threads:
            thread.join()


def wait_until(condition: Callable[[], bool]) -> None:
    """Wait until a condition holds; fails after a timeout."""
    deadline = time.monotonic() + TIMEOUT_SECONDS
    while time.monotonic() < deadline:
        try:
            if condition():
                return
        except httpx.TransportError:
            pass
        time.sleep(0.2)
    raise AssertionError("the condition did not hold in time")


def _send_requests(service: RunningService, account_ids: list[str], load: ClientLoad, stop: threading.Event) -> None:
    body = {"account_ids": account_ids, "drivers": 1}
    with httpx.Client(base_url=service.client.base_url, timeout=30) as client:
        while not stop.is_set():
            request_id = f"{threading.get_ident()}-{time.monotonic_ns()}"
            try:
                load.responses[request_id] = client.post("/v1/score", json=body, headers={"x-request-id": request_id})
            except httpx.TransportError as error:
                load.failures.append(type(error).__name__)
                time.sleep(0.05)


def free_port(host: str = "127.0.0.1") -> int:
    """A port of an address that nobody listens on."""
    with socket.socket() as probe:
        probe.bind((host, 0))
        return probe.getsockname()[1]


def _command_line(process: psutil.Process) -> str:
    with suppress(*PROCESS_ENDED):
        return " ".join(process.cmdline())
    return ""
