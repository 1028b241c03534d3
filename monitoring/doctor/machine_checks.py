"""Checks of the machine: packages against the lock, permissions, clock, disk, and who can reach MLflow."""

import re
import socket
from collections.abc import Mapping, Sequence
from contextlib import suppress
from datetime import datetime, timedelta
from importlib import metadata
from pathlib import Path

import httpx

from configs.state_dir import OTHERS, StateDir
from monitoring.doctor.check_result import CheckResult, passed, skipped
from serving.security.network import is_loopback

PINNED = re.compile(r"^([A-Za-z0-9._-]+)(?:\[[^\]]*\])?==([^\s;\\]+)", re.MULTILINE)
MLFLOW_PORT = 5000
DOCUMENTATION_ADDRESS = "192.0.2.1", 9  # of RFC 5737: of no machine, so the route to it is that to all others
CONNECT_SECONDS = 1.0
LOW_BYTES, EMPTY_BYTES = 5_000_000_000, 500_000_000
CLOCK_TOLERANCE = timedelta(minutes=5)


def read_pins(lock: Path) -> Mapping[str, str]:
    """The version of each package in a lock, by its normalised name; none without a lock."""
    if not lock.is_file():
        return {}
    return {_normalise(name): version for name, version in PINNED.findall(lock.read_text("utf-8"))}


def installed_versions() -> Mapping[str, str]:
    """The version of each installed package, by its normalised name."""
    return {_normalise(package.name): package.version for package in metadata.distributions()}


def check_versions(installed: Mapping[str, str], pins: Mapping[str, str], required: Sequence[str]) -> CheckResult:
    """Every required package is installed, and every installed one is as pinned."""
    install = "pip install --require-hashes -r requirements.lock"
    missing = [name for name in required if name not in installed]
    if missing:
        return CheckResult("versions", "fault", f"{missing[0]} is not installed", "packages", install)
    if not pins:
        return skipped("versions", "there is no requirements.lock beside the program")
    others = [name for name, version in pins.items() if installed.get(name, version) != version]
    if others:
        what = f"{others[0]} is {installed[others[0]]}, and the lock has {pins[others[0]]}"
        more = f" (and {len(others) - 1} more)" if len(others) > 1 else ""
        return CheckResult("versions", "warn", what + more, "requirements.lock", install)
    return passed("versions", f"{len(pins)} packages as pinned", "requirements.lock")


def required_packages() -> Sequence[str]:
    """The packages that Oarlock cannot do without."""
    requirements = metadata.requires("oarlock") or []
    return [_normalise(re.split(r"[\s\[<>=!~;]", text)[0]) for text in requirements if "extra ==" not in text]


def check_permissions(state: StateDir, settings_file: Path, holds_secret: bool) -> CheckResult:
    """No other user can read accounts, keys or a password."""
    secret = [settings_file] if holds_secret else []
    files = [path for path in state.folder.rglob("*") if path.is_file() and path != state.daily_metrics]
    is_private = not state.folder.stat().st_mode & OTHERS  # then what is in it is out of reach
    open_files = [path for path in (*secret, *(() if is_private else files)) if path.stat().st_mode & OTHERS]
    if open_files:
        next_step = f"chmod go-rwx {open_files[0]}"
        return CheckResult("permissions", "fault", "other users can read it", str(open_files[0]), next_step)
    return passed("permissions", "only its owner can read the state", state.folder)


def check_clock(now: datetime, recorded: Mapping[str, datetime]) -> CheckResult:
    """Nothing was recorded in the future."""
    for event, at in recorded.items():
        if at > now + CLOCK_TOLERANCE:
            what = f"{event} is of {at:%Y-%m-%d %H:%M}, and now is {now:%Y-%m-%d %H:%M} UTC"
            return CheckResult("clock", "fault", what, "clock", "Set the clock: timedatectl set-ntp true")
    return passed("clock", f"{now:%Y-%m-%d %H:%M} UTC, after everything recorded")


def check_disk(free_bytes: int, folder: Path) -> CheckResult:
    """There is space for further days and risks."""
    what, next_step = f"{free_bytes / 1e9:,.1f} GB are free", "Free space: oarlock history prune"
    if free_bytes < EMPTY_BYTES:
        return CheckResult("disk", "fault", what, str(folder), next_step)
    if free_bytes < LOW_BYTES:
        return CheckResult("disk", "warn", what, str(folder), next_step)
    return passed("disk", what, folder)


def check_mlflow_port(addresses: Sequence[str], ports: Sequence[int] = (MLFLOW_PORT,)) -> CheckResult:
    """No MLflow server of this machine answers other machines without asking who they are."""
    for name in (f"{address}:{port}" for address in addresses for port in ports):
        if _answers_everybody(f"http://{name}/version"):
            next_step = "Start it with --host 127.0.0.1, or with --app-name basic-auth behind TLS."
            return CheckResult("mlflow port", "fault", "MLflow answers everybody", name, next_step)
    return passed("mlflow port", f"no MLflow answers other machines on port {', '.join(map(str, ports))}")


def own_addresses() -> list[str]:
    """The addresses at which other machines reach this one."""
    addresses: set[str] = set()
    with suppress(OSError):
        addresses |= {str(entry[4][0]) for entry in socket.getaddrinfo(socket.gethostname(), None, socket.AF_INET)}
    with suppress(OSError), socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as route:
        route.connect(DOCUMENTATION_ADDRESS)  # nothing is sent: the socket only takes the address of its route
        addresses.add(route.getsockname()[0])
    return sorted(address for address in addresses if not is_loopback(address))


def _answers_everybody(url: str) -> bool:
    try:
        answer = httpx.get(url, timeout=CONNECT_SECONDS)
    except httpx.HTTPError:
        return False
    return answer.is_success and re.fullmatch(r"\d+\.\d+\.\d+\S*", answer.text.strip()) is not None


def _normalise(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()
