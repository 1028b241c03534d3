"""Servers of a test's own that it kills, freezes and starts again: Postgres, Redis, MLflow and object storage."""

import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import psutil
import psycopg
import pytest
import redis
from psycopg.sql import SQL, Identifier

from tests.support.paths import ROOT
from tests.support.service_process import DISCARD, PROCESS_ENDED, free_port, wait_until

POSTGRES_USER = "postgres"  # Postgres refuses to run as root
LOCAL = "127.0.0.1"


@dataclass
class Server:
    """A server in processes of its own, which keeps its files when it is killed."""

    command: list[str]
    address: str
    is_up: Callable[[], bool]
    user: str | None = None
    environment: Mapping[str, str] = field(default_factory=dict[str, str])
    _process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it, and wait until it answers."""
        variables = os.environ | self.environment
        self._process = subprocess.Popen(self.command, stdout=DISCARD, stderr=DISCARD, user=self.user, env=variables)
        wait_until(self.is_up)

    def kill(self) -> None:
        """Kill all its processes at once, as when its machine fails: connections are refused."""
        self._signal(signal.SIGKILL)
        if self._process:
            self._process.wait()

    def freeze(self) -> None:
        """Stop all its processes: it takes connections and never answers."""
        self._signal(signal.SIGSTOP)

    def thaw(self) -> None:
        """Let its processes go on."""
        self._signal(signal.SIGCONT)
        wait_until(self.is_up)

    def _signal(self, number: int) -> None:
        if self._process is None or self._process.poll() is not None:
            return
        main = psutil.Process(self._process.pid)
        for process in [main, *main.children(recursive=True)]:
            with suppress(*PROCESS_ENDED):
                process.send_signal(number)


def create_postgres(folder: Path, databases: tuple[str, ...], *, host: str = LOCAL) -> Server:
    """A new cluster in a folder, with these databases, that is started; skips the test without Postgres.

    It trusts everyone who reaches the address that it listens on.
    """
    programs = sorted(Path("/usr/lib/postgresql").glob("*/bin"))
    if not programs or os.getuid():
        pytest.skip("Postgres is not installed, or this user may not become another")
    data, port = folder / "data", free_port(host)
    folder.mkdir()
    shutil.chown(folder, POSTGRES_USER)
    temporary = Path(tempfile.gettempdir())
    for parent in [parent for parent in folder.parents if temporary in parent.parents]:
        parent.chmod(parent.stat().st_mode | 0o011)
    options = ["-D", str(data), "-U", "oarlock", "-A", "trust", "--no-sync", "--locale", "C.UTF-8"]
    subprocess.run([programs[-1] / "initdb", *options], user=POSTGRES_USER, check=True, stdout=DISCARD)
    with (data / "pg_hba.conf").open("a") as rules:
        rules.write("host all all samenet trust\n")
    url = f"postgresql://oarlock@{host}:{port}"
    command = [str(programs[-1] / "postgres"), "-D", str(data), "-p", str(port), "-k", str(folder)]
    # What was committed survives the death of all processes; only a machine that fails needs fsync.
    command += ["-c", f"listen_addresses={host}", "-c", "fsync=off", "-c", "logging_collector=on"]
    server = Server(command, url, lambda: _is_postgres_up(url), user=POSTGRES_USER)
    server.start()
    with psycopg.connect(f"{url}/postgres", autocommit=True) as connection:
        for name in databases:
            connection.execute(SQL("create database {}").format(Identifier(name)))
    return server


def create_redis(folder: Path, *, host: str = LOCAL) -> Server:
    """A Redis that writes every change to a file at once; it is not started yet."""
    program, port = shutil.which("redis-server"), free_port(host)
    if program is None:
        pytest.skip("redis-server is not installed")
    folder.mkdir()
    url = f"redis://{host}:{port}/0"
    command = [
        program,
        "--bind",
        host,
        "--protected-mode",
        "no",
        "--port",
        str(port),
        "--dir",
        str(folder),
        "--save",
        "",
        "--appendonly",
        "yes",
    ]
    return Server([*command, "--appendfsync", "always"], url, lambda: _is_redis_up(url))


def create_mlflow(database: str, artifacts: Path, *, host: str = LOCAL) -> Server:
    """MLflow's server over a database, which takes the files of its clients; it is not started yet."""
    artifacts.mkdir(parents=True)
    port = free_port(host)
    command = [sys.executable, "-m", "mlflow", "server", "--host", host, "--port", str(port), "--workers", "1"]
    command += ["--artifacts-destination", str(artifacts), "--allowed-hosts", f"{host}:*"]
    environment = {
        "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
        "MLFLOW_DISABLE_TELEMETRY": "true",
        "MLFLOW_BACKEND_STORE_URI": database.replace("postgresql://", "postgresql+psycopg://", 1),
    }
    address = f"http://{host}:{port}"
    return Server(command, address, lambda: _answers(f"{address}/health"), environment=environment)


def create_object_storage() -> Server:
    """A server that is compatible with S3 and keeps objects in memory; skips the test if it is not installed."""
    program, port = ROOT / ".venv-s3" / "bin" / "moto_server", free_port()
    if not program.exists():
        pytest.skip("`make test-s3` installs the server")
    address = f"http://127.0.0.1:{port}"
    return Server([str(program), "-H", "127.0.0.1", "-p", str(port)], address, lambda: _answers(f"{address}/moto-api/"))


def _is_postgres_up(url: str) -> bool:
    try:
        psycopg.connect(f"{url}/postgres", connect_timeout=2).close()
    except psycopg.OperationalError:
        return False
    return True


def _is_redis_up(url: str) -> bool:
    try:
        with redis.Redis.from_url(url, socket_timeout=2) as client:
            return bool(client.ping())
    except redis.RedisError:
        return False


def _answers(address: str) -> bool:
    return httpx.get(address, timeout=2).status_code == 200
