"""A shell for the examples of one page: a folder of its own, and `oarlock serve` in the background."""

import os
import re
import signal
import socket
import subprocess
import time
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

import httpx

from tests.support.doc_servers import ShownServers

SERVE = re.compile(r"^(\S*/)?oarlock (\S+ )*serve\b")
SHOWN_PORT = re.compile(r"(?<=:)3000\b|(?<=--port )3000\b")  # on the pages; the tests take a free one
PROGRESS = re.compile(r"^[\w -]+: .+, \d+ of \d+\n", re.MULTILINE)  # a slow machine shows more of them
TIMEOUT_SECONDS = 600
START_SECONDS = 90


@dataclass(frozen=True)
class Result:
    """How a command ended, with standard output and standard error together."""

    exit_code: int
    output: str


@dataclass
class DocShell:
    """Runs commands one after another in `folder`; variables and the current folder last from one to the next."""

    folder: Path
    environment: dict[str, str]
    servers: ShownServers = field(default_factory=ShownServers)
    port: str = field(default_factory=lambda: str(_free_port()))
    _services: list[subprocess.Popen[bytes]] = field(default_factory=list)

    @property
    def _saved(self) -> Path:
        """The script that sets the variables and the folder of the last command."""
        return self.folder / ".shell"

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for service in self._services:
            with suppress(ProcessLookupError):
                os.killpg(service.pid, signal.SIGTERM)
            service.wait(START_SECONDS)
            _wait_for_group(service.pid)
        self._saved.unlink(missing_ok=True)  # a copy of the folder would go back to this one

    def run(self, command: str) -> Result:
        """Run a command to its end; `oarlock serve` until it is ready, and on until the shell is closed."""
        if SERVE.match(command):
            return self._start(command)
        process = self._bash(command)
        output, _ = process.communicate(timeout=TIMEOUT_SECONDS)
        return Result(process.returncode, PROGRESS.sub("", output.decode()).replace(f":{self.port}", ":3000"))

    def _start(self, command: str) -> Result:
        self._services.append(self._bash(command))
        deadline = time.monotonic() + START_SECONDS
        while time.monotonic() < deadline:
            with suppress(httpx.TransportError):
                if httpx.get(f"http://127.0.0.1:{self.port}/v1/ready").is_success:
                    return Result(0, "")
            time.sleep(0.2)
        raise AssertionError(f"the service was not ready after {START_SECONDS} seconds: {command}")

    def _bash(self, command: str) -> subprocess.Popen[bytes]:
        lines = [
            f"set -a; test -f {self._saved} && source {self._saved}",
            self.servers.replace_addresses(SHOWN_PORT.sub(self.port, command)),
            f"code=$?; {{ export -p; echo cd \"'$PWD'\"; }} > {self._saved}; exit $code",
        ]
        stdout = subprocess.DEVNULL if SERVE.match(command) else subprocess.PIPE
        return subprocess.Popen(
            ["bash", "-c", "\n".join(lines)],
            cwd=self.folder,
            env=self.environment | self.servers.variables | {"OARLOCK_SERVING__PORT": self.port},
            stdin=subprocess.DEVNULL,
            stdout=stdout,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )


def _wait_for_group(group: int) -> None:
    """Wait until the last process of a group has ended: the shell that started a service ends before it does."""
    deadline = time.monotonic() + START_SECONDS
    with suppress(ProcessLookupError):
        while time.monotonic() < deadline:
            os.killpg(group, 0)
            time.sleep(0.05)


def _free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])
