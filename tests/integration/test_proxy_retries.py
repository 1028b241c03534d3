"""The shipped proxies before a replica that dies in the middle of a request: what only asks has an answer all the same.

Two small servers stand for the replicas. One reads a request and closes the connection, as when its process is killed.
"""

import os
import shutil
import socket
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import httpx
import pytest

from tests.support.paths import ROOT
from tests.support.replicas.proxy import NAME, Nginx
from tests.support.service_process import DISCARD, free_port, wait_until

CADDY = ROOT / ".venv-deploy/bin/caddy"
PORT, REQUESTS = 3000, 20  # the port is that of the shipped files
LIVING, DYING = "127.77.0.11", "127.77.0.12"


@dataclass
class Replicas:
    """The notes in the requests that each of the two has got."""

    received: dict[str, list[str]] = field(default_factory=lambda: {LIVING: [], DYING: []})


@pytest.fixture
def replicas() -> Iterator[Replicas]:
    """Two replicas, of which one dies of each request."""
    replicas = Replicas()
    servers = [ThreadingHTTPServer((address, PORT), _handler(replicas, address)) for address in (LIVING, DYING)]
    for server in servers:
        threading.Thread(target=server.serve_forever, daemon=True).start()
    yield replicas
    for server in servers:
        server.shutdown()
        server.server_close()


def _handler(replicas: Replicas, address: str) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self._answer(b"ready")

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            replicas.received[address].append(body.decode())
            if address == DYING:
                self.connection.shutdown(socket.SHUT_RDWR)
                return
            self._answer(body)

        def _answer(self, body: bytes) -> None:
            self.send_response(200)
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the name is the library's
            """Say nothing."""

    return Handler


@contextmanager
def nginx(folder: Path) -> Iterator[httpx.Client]:
    """A client of the shipped nginx.conf before the two replicas."""
    if shutil.which("nginx") is None or shutil.which("openssl") is None:
        pytest.skip("nginx or openssl is not installed")
    proxy = Nginx(folder, "127.0.0.1", [LIVING, DYING])
    proxy.start()
    try:
        with proxy.open_client("a-key") as client:
            yield client
    finally:
        proxy.stop()


@contextmanager
def caddy(folder: Path) -> Iterator[httpx.Client]:
    """A client of the shipped Caddyfile before the two replicas, without TLS: a certificate would need the network."""
    if not CADDY.exists():
        pytest.skip("`make test-deploy` installs caddy")
    port, text = free_port(), (ROOT / "deploy/proxy/Caddyfile").read_text("utf-8")
    text = text.replace(f"{NAME} {{", f"http://127.0.0.1:{port} {{").replace(
        "{\n\tservers", "{\n\tadmin off\n\tservers"
    )
    text = text.replace("dynamic a serve 3000", f"to {LIVING}:{PORT} {DYING}:{PORT}")
    (folder / "Caddyfile").write_text(text)
    home = os.environ | {"HOME": str(folder), "XDG_DATA_HOME": str(folder), "XDG_CONFIG_HOME": str(folder)}
    command = [CADDY, "run", "--adapter", "caddyfile", "--config", folder / "Caddyfile"]
    with subprocess.Popen(command, stdout=DISCARD, stderr=DISCARD, env=home) as process:
        try:
            with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=30) as client:
                yield client
        finally:
            process.terminate()


PROXIES = pytest.mark.parametrize("proxy", [nginx, caddy], ids=["nginx", "caddy"])
Proxy = Callable[[Path], AbstractContextManager[httpx.Client]]


def _post(client: httpx.Client, path: str) -> list[int]:
    wait_until(lambda: client.get("/readyz").status_code == 200)
    return [client.post(path, content=f"note {number}").status_code for number in range(REQUESTS)]


@PROXIES
@pytest.mark.parametrize("path", ["/v1/score", "/v1/explain"])
def test_another_replica_answers_what_only_asks(replicas: Replicas, tmp_path: Path, proxy: Proxy, path: str):
    with proxy(tmp_path) as client:
        assert _post(client, path) == [200] * REQUESTS
    assert replicas.received[DYING] != []
    assert sorted(replicas.received[LIVING]) == sorted(f"note {number}" for number in range(REQUESTS))


@PROXIES
@pytest.mark.parametrize("path", ["/v1/feedback", "/v1/outcomes"])
def test_a_report_reaches_one_replica_only(replicas: Replicas, tmp_path: Path, proxy: Proxy, path: str):
    with proxy(tmp_path) as client:
        statuses = _post(client, path)
    assert 502 in statuses
    reports = replicas.received[LIVING] + replicas.received[DYING]
    assert sorted(reports) == sorted(f"note {number}" for number in range(REQUESTS))
