"""The shipped nginx.conf, run by a test: only addresses, ports, the certificate and the paths of files are replaced."""

import re
import ssl
import subprocess
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import httpx

from tests.support.paths import ROOT
from tests.support.service_process import DISCARD, free_port

SHIPPED, NAME = ROOT / "deploy/proxy/nginx.conf", "churn.example.com"
REPLICAS = re.compile(r"^( +server )10\.0\.0\.11(:3000 .*;\n)( +server 10\.0\.0\..*\n)+", re.MULTILINE)
LOGGED = re.compile(r"^\S+ (?P<status>\d+) \S+ (?P<replicas>.+) [\d.]+ (?P<request_id>\S+)$", re.MULTILINE)


@dataclass
class Nginx:
    """nginx before replicas, on an address of this machine; its files are in a folder."""

    folder: Path
    host: str
    replicas: list[str]

    def __post_init__(self) -> None:
        self.port, self.plain_port = free_port(self.host), free_port(self.host)
        make_certificate(self.folder)
        self._write()

    def start(self) -> None:
        """Start it in processes of its own."""
        subprocess.run([*self._command, "-t"], check=True, capture_output=True)
        self._process = subprocess.Popen([*self._command, "-g", "daemon off;"], stdout=DISCARD, stderr=DISCARD)

    def add(self, replica: str) -> None:
        """Pass requests on to one more replica, as an operator would."""
        self.replicas.append(replica)
        self._write()
        subprocess.run([*self._command, "-s", "reload"], check=True, capture_output=True)

    def stop(self) -> None:
        """Stop all its processes."""
        self._process.terminate()
        self._process.wait()

    def open_client(self, key: str) -> httpx.Client:
        """A client that trusts the certificate, with an API key; it reaches nginx by the name in the configuration."""
        trusted = ssl.create_default_context(cafile=str(self.folder / "fullchain.pem"))
        headers = {"host": NAME, "authorization": f"Bearer {key}"}
        client = httpx.Client(base_url=f"https://{self.host}:{self.port}", verify=trusted, headers=headers, timeout=30)
        client.event_hooks = {"request": [_ask_for_the_name]}
        return client

    def answered_by(self) -> dict[str, str]:
        """The address of the replica that answered each request id."""
        log = (self.folder / "access.log").read_text()
        return {match["request_id"]: match["replicas"].split(", ")[-1].split(":")[0] for match in LOGGED.finditer(log)}

    def resent(self) -> int:
        """How many requests nginx sent to a second replica."""
        log = (self.folder / "access.log").read_text()
        return sum(", " in match["replicas"] for match in LOGGED.finditer(log))

    @property
    def _command(self) -> list[str]:
        return ["nginx", "-e", f"{self.folder}/error.log", "-c", f"{self.folder}/nginx.conf"]

    def _write(self) -> None:
        text = REPLICAS.sub(lambda match: "".join(_server_lines(match, self.replicas)), with_own_paths(self.folder))
        text = text.replace("listen 80;", f"listen {self.host}:{self.plain_port};")
        text = text.replace("listen 443 ", f"listen {self.host}:{self.port} ")
        (self.folder / "nginx.conf").write_text(text)


def make_certificate(folder: Path) -> None:
    """Make a certificate for the name in the configuration, signed by itself, and its key."""
    names = ("-subj", f"/CN={NAME}", "-addext", f"subjectAltName=DNS:{NAME}")
    files = ("-keyout", f"{folder}/privkey.pem", "-out", f"{folder}/fullchain.pem")
    command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", *names, *files]
    subprocess.run(command, check=True, capture_output=True)


def with_own_paths(folder: Path) -> str:
    """The shipped configuration with its certificate, log and process id in a folder."""
    text = SHIPPED.read_text("utf-8")
    text = text.replace("/etc/nginx/tls/", f"{folder}/").replace("/run/nginx.pid", f"{folder}/nginx.pid")
    return text.replace("/var/log/nginx/access.log", f"{folder}/access.log")


def _server_lines(match: re.Match[str], replicas: Iterable[str]) -> list[str]:
    return [f"{match[1]}{replica}{match[2]}" for replica in replicas]


def _ask_for_the_name(request: httpx.Request) -> None:
    request.extensions["sni_hostname"] = NAME
