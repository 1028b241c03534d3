"""Servers that tests use: a part of a running Redis or Postgres that is their own, or a server of their own."""

import os
import shutil
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import psutil
import pytest
import redis
from pydantic import SecretStr

from configs.sections.stores import StoreSettings
from tests.support.service_process import DISCARD, free_port, wait_until

START_SECONDS = 10


@contextmanager
def own_redis_keys(url: str) -> Iterator[StoreSettings]:
    """The settings of an online store in Redis with keys of its own, which are removed after the block."""
    prefix = f"test-{uuid.uuid4().hex[:12]}"
    try:
        yield StoreSettings(online=SecretStr(url), online_prefix=prefix)
    finally:
        with redis.Redis.from_url(url) as client:
            for key in client.scan_iter(match=f"{prefix}:*", count=1_000):
                client.unlink(key)


@contextmanager
def start_redis(folder: Path, *options: str) -> Iterator[redis.Redis]:
    """A client of a Redis that runs until the block ends; skips the test if none is installed."""
    server, address = shutil.which("redis-server"), folder / "redis.sock"
    if server is None:
        pytest.skip("redis-server is not installed")
    command = [server, "--port", "0", "--unixsocket", str(address), "--save", "", *options]
    with subprocess.Popen(command, cwd=folder, stdout=subprocess.DEVNULL) as process:
        try:
            deadline = time.monotonic() + START_SECONDS
            while not address.exists() and time.monotonic() < deadline:
                time.sleep(0.05)
            with redis.Redis(unix_socket_path=str(address)) as client:
                yield client
        finally:
            process.terminate()


@contextmanager
def own_schema(server: str) -> Iterator[str]:
    """The URL of an empty schema of a Postgres, which is dropped after the block."""
    import psycopg
    from psycopg.sql import SQL, Identifier

    schema = f"oarlock_{uuid.uuid4().hex[:12]}"
    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute(SQL("create schema {}").format(Identifier(schema)))
        try:
            yield f"{server}?options=-csearch_path%3D{schema}"
        finally:
            connection.execute(SQL("drop schema {} cascade").format(Identifier(schema)))


@contextmanager
def start_mlflow(database: str, artifacts: Path, *options: str) -> Iterator[str]:
    """The address of an MLflow server over a database, which takes the files of its clients, until the block ends."""
    port = free_port()
    store = database.replace("postgresql://", "postgresql+psycopg://", 1)
    command = [sys.executable, "-m", "mlflow", "server", "--port", str(port)]
    command += ["--artifacts-destination", str(artifacts), "--workers", "1", "--allowed-hosts", "127.0.0.1:*", *options]
    own = {"MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false", "MLFLOW_DISABLE_TELEMETRY": "true"}
    variables = os.environ | own | {"MLFLOW_BACKEND_STORE_URI": store}
    address = f"http://127.0.0.1:{port}"
    artifacts.mkdir(parents=True, exist_ok=True)
    with subprocess.Popen(command, cwd=artifacts, stdout=DISCARD, stderr=DISCARD, env=variables) as process:
        try:
            wait_until(lambda: httpx.get(f"{address}/health").status_code == 200)
            yield address
        finally:
            for child in psutil.Process(process.pid).children(recursive=True):
                child.terminate()
            process.terminate()
