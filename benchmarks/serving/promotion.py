"""Promotions under load: a promotion, a rollback, two bad versions; no request may fail or mix two versions.

    python benchmarks/serving/promotion.py COMPANY FOLDER [--seconds 60]

A second process asks for ten accounts at a time. Every reply is held against the risks that the version it names gives
these accounts. The alias is moved in MLflow, as another tool would; the last bad version is put before the workers
themselves.
"""

import argparse
import json
import shutil
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import httpx

from benchmarks.serving.fixtures import accounts, make_service_folder
from benchmarks.serving.load_generator import ROOT, serving
from configs.files import read_json, write_json
from configs.settings_file import read_settings
from configs.state_dir import StateDir, open_state_dir
from features.store.online_reader import OnlineReader
from serving.scoring.champion_pointer import ARTIFACT, build_bundle, bundle_folder
from serving.scoring.model_bundle import DOCUMENT_FILE, load_bundle
from serving.scoring.scores import score_values
from serving.treeshap.kernel import Kernel
from training.registry.mlflow_registry import Registry, open_registry
from training.registry.version import CHAMPION

ACCOUNTS, AT_ONCE = 200, 10
EXACT = 1e-9
Document = dict[str, Any]


def main() -> None:
    """Serve, load, promote and judge every reply."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("company", type=Path)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--clients", type=int, default=4)
    arguments = parser.parse_args()
    config = make_service_folder(arguments.company, arguments.folder)
    settings = read_settings(config)
    state = open_state_dir(settings)
    registry = open_registry(state, settings.name)
    bad = _bad_version(state, registry)
    ids = accounts(state)[:ACCOUNTS]
    replies, versions = _under_load(config, ids, arguments.seconds, arguments.clients, _steps(state, registry, bad))
    print(json.dumps(_summarise(replies, versions, state, ids), indent=1))


def _steps(state: StateDir, registry: Registry, bad: int) -> list[Callable[[], None]]:
    """What happens one after another: promotion, rollback, a bad version in MLflow, a bad one before the workers."""

    def alias(number: int) -> Callable[[], None]:
        return lambda: registry.client.set_registered_model_alias(registry.name, CHAMPION, str(number))

    def before_the_workers() -> None:
        alias(1)()
        note = read_json(state.champion_pointer)
        broken = state.bundles / "broken"
        shutil.copytree(bundle_folder(state, 2), broken, dirs_exist_ok=True)
        _break(broken)
        write_json(state.champion_pointer, {"version": {**note["version"], "number": bad}, "folder": "broken"})

    return [alias(2), alias(1), alias(bad), before_the_workers]


def _bad_version(state: StateDir, registry: Registry) -> int:
    """A registered version whose stored bundle is not that of its model."""
    folder = state.folder / "broken"
    shutil.copytree(build_bundle(state, registry, registry.get(2)), folder, dirs_exist_ok=True)
    _break(folder)
    second = registry.client.get_model_version(registry.name, "2")
    number = int(registry.client.create_model_version(registry.name, str(second.source), second.run_id).version)
    registry.upload_artifact(registry.get(number), ARTIFACT, folder)
    return number


def _break(folder: Path) -> None:
    document = read_json(folder / DOCUMENT_FILE)
    write_json(folder / DOCUMENT_FILE, {**document, "base_margin": document["base_margin"] + 1.0})


def _under_load(
    config: Path, ids: list[str], seconds: float, clients: int, steps: list[Callable[[], None]]
) -> tuple[list[Document], list[Any]]:
    command = ["oarlock.py", "--config", str(config), "serve", "--port={port}"]
    with serving(command, {"OARLOCK_CONFIG": str(config), "OARLOCK_SERVING__WORKERS": "2"}) as (_, port):
        request = {"port": port, "ids": ids, "seconds": seconds, "clients": clients}
        command = [sys.executable, "-m", "benchmarks.serving.promotion_clients"]
        with subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as load:
            versions: list[Any] = []
            threading.Thread(target=_act, args=(steps, seconds / (len(steps) + 1), port, versions), daemon=True).start()
            out, _ = load.communicate(json.dumps(request))
    return json.loads(out), versions


def _act(steps: list[Callable[[], None]], pause: float, port: int, versions: list[Any]) -> None:
    for step in steps:
        time.sleep(pause)
        step()
        time.sleep(min(pause * 0.8, 6))
        versions.append(httpx.get(f"http://127.0.0.1:{port}/v1/model").json())


def _summarise(replies: list[Document], versions: list[Any], state: StateDir, ids: list[str]) -> Document:
    kernel, values = Kernel(state.compiled_kernels), OnlineReader(state).read(ids).values
    right = {number: _risks(state, number, kernel, values, ids) for number in (1, 2)}
    mixed = failed = 0
    for reply in replies:
        if reply["status"] != 200:
            failed += 1
        elif any(abs(right[reply["version"]][account] - risk) > EXACT for account, risk in reply["risks"].items()):
            mixed += 1
    took = [reply["version"] for reply in replies if reply["status"] == 200]
    return {
        "requests": len(replies),
        "failed": failed,
        "mixing two versions": mixed,
        "by version": dict(Counter(took)),
        "changes of version seen": sum(a != b for a, b in pairwise(took)),
        "slowest ms": round(max(reply["ms"] for reply in replies), 1),
        "said by /v1/model after each step": [(reply.get("version"), reply.get("refused")) for reply in versions],
    }


def _risks(state: StateDir, number: int, kernel: Kernel, values: Any, ids: list[str]) -> dict[str, float]:
    scores = score_values(load_bundle(bundle_folder(state, number), kernel), values)
    return dict(zip(ids, map(float, scores.risks), strict=True))


if __name__ == "__main__":
    main()
