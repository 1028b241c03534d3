"""Servers that tests use: keys of their own in a running Redis, and a Redis of their own."""

import shutil
import subprocess
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import redis
from pydantic import SecretStr

from configs.settings import StoreSettings

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
