"""The supply chain: what the bill of materials names is installed, and nothing needs or looks for a network.

`make test-supply-chain` installs the tool and collects the wheels; without them their tests are skipped.
"""

import json
import os
import re
import shutil
import subprocess
import sys
from importlib import metadata
from pathlib import Path

import httpx
import psutil
import pytest

from docs.generate.dependencies import NOT_DECLARED, licence_of, read_pins
from features.store.account_table import AccountTable
from tests.support.paths import ROOT
from tests.support.service_process import DISCARD, free_port, wait_until
from tests.support.trained_model import TrainedModel, copy_without_risks

TOOLS, WHEELHOUSE = ROOT / ".venv-sbom/bin", ROOT / "dist/wheelhouse"
PRODUCTION = "requirements-production.lock"
ADDRESS = re.compile(r'(?:inet_addr\(|inet_pton\(AF_INET6, )"([^"]+)"')
OWN_ADDRESS = re.compile(r"127\..*|::1|::ffff:127\..*|0\.0\.0\.0|::")
# In a namespace of its own a process has a loopback interface and no route.
OFFLINE = ["unshare", "--net", "sh", "-c", 'ip link set lo up && exec "$@"', "sh"]
TRACED = "trace=connect,sendto,sendmsg,sendmmsg"
COPYLEFT = re.compile(r"\bA?GPL", re.IGNORECASE)
needs_tool = pytest.mark.skipif(not (TOOLS / "cyclonedx-py").exists(), reason="run it by `make test-supply-chain`")
needs_wheels = pytest.mark.skipif(not WHEELHOUSE.exists(), reason="run it by `make test-supply-chain`")
needs_strace = pytest.mark.skipif(shutil.which("strace") is None, reason="strace is not installed")
can_cut_off = (
    shutil.which("ip") and subprocess.run([*OFFLINE, "true"], check=False, capture_output=True).returncode == 0
)
needs_namespace = pytest.mark.skipif(not can_cut_off, reason="this user may not make network namespaces")


def normalise(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def run(*command: object, folder: Path = ROOT, **variables: str) -> str:
    """The output of a command that succeeds."""
    words = [str(part) for part in command]
    environment = os.environ | variables
    result = subprocess.run(words, cwd=folder, env=environment, check=False, capture_output=True, text=True)
    assert result.returncode == 0, result.stderr[-2_000:]
    return result.stdout


@needs_tool
@pytest.mark.slow
@pytest.mark.parametrize("lock", ["requirements.lock", PRODUCTION])
def test_the_bill_of_materials_names_what_is_installed_from_the_lock(lock: str, tmp_path: Path):
    run(TOOLS / "python", "deploy/sbom.py", lock, sys.executable, tmp_path / "sbom.json")
    document = json.loads((tmp_path / "sbom.json").read_text())
    pins = {normalise(name): version for name, version in read_pins(lock).items()}
    components = {normalise(component["name"]): component["version"] for component in document["components"]}
    assert (document["bomFormat"], document["specVersion"]) == ("CycloneDX", "1.6")
    assert components == pins
    assert components == {name: metadata.version(name) for name in pins}
    assert all(component["hashes"] for component in document["components"])


@needs_tool
@pytest.mark.slow
def test_the_bill_of_materials_is_the_same_each_time(tmp_path: Path):
    for name in ("first.json", "second.json"):
        run(TOOLS / "python", "deploy/sbom.py", PRODUCTION, sys.executable, tmp_path / name)
    assert (tmp_path / "first.json").read_bytes() == (tmp_path / "second.json").read_bytes()


def test_every_package_declares_a_licence_and_what_runs_has_no_strong_copyleft():
    licences = {name: licence_of(name) for name in read_pins("requirements.lock")}
    assert [name for name, licence in licences.items() if licence == NOT_DECLARED] == []
    assert [name for name in read_pins(PRODUCTION) if COPYLEFT.search(licences[name])] == []


@needs_wheels
@needs_namespace
@pytest.mark.slow
def test_an_installation_without_a_network_answers_a_score(trained: TrainedModel, tmp_path: Path):
    python = tmp_path / "venv/bin/python"
    install = python, "-m", "pip", "install", "--quiet", "--no-index", "--find-links", WHEELHOUSE
    run(sys.executable, "-m", "venv", tmp_path / "venv")
    run(*OFFLINE, *install, "--require-hashes", "-r", ROOT / PRODUCTION)
    run(*OFFLINE, *install, "--no-deps", *WHEELHOUSE.glob("oarlock-*.whl"))
    config = copy_without_risks(trained, tmp_path / "crm5")
    command = *OFFLINE, tmp_path / "venv/bin/oarlock", "--config", config, "score", "--all", "--json"
    scores = json.loads(run(*command, folder=tmp_path, PYTHONPATH=""))["scores"]
    assert len(scores) > 50
    assert all(0 < score["risk"] < 1 for score in scores)


def addresses_in(trace: Path) -> set[str]:
    """The addresses of other machines that a traced command tried to reach."""
    return {address for address in ADDRESS.findall(trace.read_text()) if not OWN_ADDRESS.fullmatch(address)}


@needs_strace
@pytest.mark.slow
def test_a_command_that_looks_for_another_machine_is_noticed(tmp_path: Path):
    code = "import socket; socket.socket(socket.AF_INET, socket.SOCK_DGRAM).connect(('192.0.2.1', 9))"
    run("strace", "-f", "-e", TRACED, "-o", tmp_path / "trace", sys.executable, "-c", code)
    assert addresses_in(tmp_path / "trace") == {"192.0.2.1"}


@needs_strace
@pytest.mark.slow
def test_no_command_looks_for_another_machine(trained: TrainedModel, tmp_path: Path):
    config, trace = copy_without_risks(trained, tmp_path / "crm5"), tmp_path / "trace"
    for number, command in enumerate(["validate", "publish", "train", "promote --force --reason test", "score --all"]):
        traced = "strace", "-f", "--seccomp-bpf", "-e", TRACED, "-o", f"{trace}.{number}"
        run(*traced, sys.executable, ROOT / "oarlock.py", "--config", config, *command.split())
        assert addresses_in(Path(f"{trace}.{number}")) == set(), command


@needs_strace
@pytest.mark.slow
def test_a_service_looks_for_no_other_machine(trained: TrainedModel, tmp_path: Path):
    config, trace, port = copy_without_risks(trained, tmp_path / "crm5"), tmp_path / "trace", free_port()
    traced = "strace", "-f", "--seccomp-bpf", "-e", TRACED, "-o", str(trace)
    command = *traced, sys.executable, str(ROOT / "oarlock.py"), "--config", str(config), "serve", "--port", str(port)
    account = AccountTable(trained.state.account_table).columns("account_id")["account_id"][0]
    url = f"http://127.0.0.1:{port}"
    with subprocess.Popen(command, cwd=ROOT, stdout=DISCARD, stderr=DISCARD) as process:
        wait_until(lambda: httpx.get(f"{url}/readyz").status_code == 200)
        response = httpx.post(f"{url}/v1/score", json={"account_ids": [account]}, timeout=30)
        (service,) = psutil.Process(process.pid).children()
        service.terminate()
    assert response.status_code == 200
    assert "connect(" in trace.read_text()
    assert addresses_in(trace) == set()
