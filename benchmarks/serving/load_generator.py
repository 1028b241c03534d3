"""Load and its measure: processes of a service, clients in a process of their own, CPU and memory from /proc."""

import argparse
import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
TICKS = os.sysconf("SC_CLK_TCK")
REST_SECONDS, RESTING_SHARE = 0.5, 0.04  # a service that does nothing takes less of a processor
PATIENCE = 300


@dataclass(frozen=True)
class Figures:
    """What a load came to: requests answered with 200, and not; CPU in ms of the service's processes per request."""

    answered: int
    failed: int
    cpu_ms: float
    per_second: float
    p50_ms: float
    p99_ms: float
    worker_mb: float


@contextmanager
def serving(arguments: list[str], environment: Mapping[str, str]) -> Iterator[tuple[int, int]]:
    """A service of these command words in its own process group, until the block ends: its pid and port."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, *[argument.format(port=port) for argument in arguments]]
    everything = {**os.environ, "PYTHONPATH": str(ROOT), "BENTOML_DO_NOT_TRACK": "True", **environment}
    process = subprocess.Popen(
        command, cwd=ROOT, env=everything, start_new_session=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        _until_alive(port)
        yield process.pid, port
    finally:
        os.killpg(process.pid, signal.SIGTERM)
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
        _until_gone(process.pid)


def measure(service: tuple[int, int], path: str, bodies: list[dict], clients: int, seconds: float) -> Figures:
    """Send the bodies over and over from a second process for some seconds, and say what it cost."""
    pid, port = service
    request = {"port": port, "path": path, "bodies": bodies, "clients": clients, "seconds": seconds}
    before = _cpu_seconds_at_rest(pid)
    done = subprocess.run(
        [sys.executable, str(Path(__file__)), "--load"],
        input=json.dumps(request),
        capture_output=True,
        text=True,
        check=True,
    )
    used = _cpu_seconds_at_rest(pid) - before
    measured = json.loads(done.stdout)
    took = sorted(measured["ms"]) or [float("nan")]
    return Figures(
        answered=len(measured["ms"]),
        failed=measured["failed"],
        cpu_ms=used * 1000 / max(len(measured["ms"]), 1),
        per_second=len(measured["ms"]) / measured["seconds"],
        p50_ms=took[len(took) // 2],
        p99_ms=took[min(len(took) - 1, int(len(took) * 0.99))],
        worker_mb=max(_resident_mb(process) for process in _process_tree(pid)),
    )


def _until_alive(port: int) -> None:
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        try:
            connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
            connection.request("GET", "/readyz")
            if connection.getresponse().status == 200:
                return
        except OSError:
            pass
        time.sleep(0.5)
    raise TimeoutError("the service did not become ready")


def _until_gone(group: int) -> None:
    """Wait for the workers: they write the ledger for some seconds longer, beside what is measured next."""
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        try:
            os.killpg(group, 0)
        except ProcessLookupError:
            return
        time.sleep(0.2)
    raise TimeoutError("the service did not end")


def _cpu_seconds_at_rest(pid: int) -> float:
    """The CPU seconds of a service once the ledger has what it answered: that is part of its requests."""
    before, now = -1.0, _cpu_seconds(pid)
    while now - before > RESTING_SHARE * REST_SECONDS:
        time.sleep(REST_SECONDS)
        before, now = now, _cpu_seconds(pid)
    return now


def _process_tree(pid: int) -> list[int]:
    """A process and all below it, but for those that follow the registry beside the service."""
    try:
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
        command = Path(f"/proc/{pid}/cmdline").read_text()
    except FileNotFoundError:
        return []
    return (
        []
        if "serving.scoring.champion_watcher" in command
        else [pid, *(descendant for child in children for descendant in _process_tree(int(child)))]
    )


def _cpu_seconds(pid: int) -> float:
    fields = [
        Path(f"/proc/{fields_of_process}/stat").read_text().rsplit(")", 1)[1].split()
        for fields_of_process in _process_tree(pid)
    ]
    return sum(int(fields_of_process[11]) + int(fields_of_process[12]) for fields_of_process in fields) / TICKS


def _resident_mb(pid: int) -> float:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next((int(line.split()[1]) / 1024 for line in lines if line.startswith("VmRSS")), 0.0)


def _load() -> None:
    """In the second process: read what is asked from standard input, write the milliseconds of every answer."""
    request = json.load(sys.stdin)
    bodies = [json.dumps(thread).encode() for thread in request["bodies"]]
    took: list[float] = []
    failed = [0]
    begun = time.perf_counter()

    def send(first: int) -> None:
        connection = http.client.HTTPConnection("127.0.0.1", request["port"], timeout=120)
        number = first
        while time.perf_counter() - begun < request["seconds"]:
            start = time.perf_counter()
            connection.request(
                "POST", request["path"], bodies[number % len(bodies)], {"content-type": "application/json"}
            )
            answer = connection.getresponse()
            answer.read()
            if answer.status == 200:
                took.append((time.perf_counter() - start) * 1000)
            else:
                failed[0] += 1
            number += request["clients"]

    threads = [threading.Thread(target=send, args=(thread,)) for thread in range(request["clients"])]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    json.dump({"ms": took, "failed": failed[0], "seconds": time.perf_counter() - begun}, sys.stdout)


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--load", action="store_true", required=True)
    parser.parse_args()
    _load()
