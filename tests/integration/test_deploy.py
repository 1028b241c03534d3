"""The files in deploy/: what can be checked without a cluster, an engine for containers, or a network.

`make test-deploy` installs the checkers; without them their tests are skipped.
"""

import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from configs.settings import ENVIRONMENT_PREFIX, Settings
from serving.app import ENDPOINTS
from tests.support.paths import ROOT
from tests.support.replicas.proxy import make_certificate, with_own_paths

DEPLOY, TOOLS = ROOT / "deploy", ROOT / ".venv-deploy/bin"
MANIFESTS = sorted((DEPLOY / "kubernetes").glob("*.yaml"))
USER = 10001
needs_tools = pytest.mark.skipif(not (TOOLS / "hadolint").exists(), reason="run it by `make test-deploy`")
CHECK_COMPOSE = """
import sys, yaml
from compose_spec import PyCompose
content = {key: value for key, value in yaml.safe_load(sys.stdin).items() if not key.startswith("x-")}
PyCompose.from_yaml(yaml.safe_dump(content)).validate()
"""


def _run(*command: object, text: str = "", **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [str(part) for part in command],
        input=text,
        cwd=ROOT,
        env=os.environ | environment,
        capture_output=True,
        text=True,
        check=False,
    )


def _needs(program: str) -> pytest.MarkDecorator:
    return pytest.mark.skipif(shutil.which(program) is None, reason=f"{program} is not installed")


@needs_tools
def test_the_dockerfile_has_no_fault_that_hadolint_knows():
    checked = _run(TOOLS / "hadolint", DEPLOY / "Dockerfile")
    assert (checked.returncode, checked.stdout) == (0, "")


@needs_tools
@pytest.mark.parametrize("file", MANIFESTS, ids=lambda file: file.name)
def test_every_manifest_is_valid_for_kubernetes(file: Path, tmp_path: Path):
    checked = _run(TOOLS / "kubernetes-validate", "--strict", file)
    assert checked.returncode == 0, checked.stdout + checked.stderr
    broken = tmp_path / "broken.yaml"
    broken.write_text(file.read_text("utf-8").replace("\nspec:\n", "\nspecs:\n").replace("\ndata:\n", "\ndatas:\n"))
    assert _run(TOOLS / "kubernetes-validate", "--strict", broken).returncode != 0


@needs_tools
def test_the_compose_file_follows_its_specification():
    text = (DEPLOY / "compose.yaml").read_text("utf-8")
    checked = _run(TOOLS / "python", "-c", CHECK_COMPOSE, text=text)
    assert checked.returncode == 0, checked.stderr
    assert _run(TOOLS / "python", "-c", CHECK_COMPOSE, text=text.replace("healthcheck:", "healthchek:")).returncode != 0


@_needs("nginx")
@_needs("openssl")
def test_nginx_accepts_its_configuration(tmp_path: Path):
    make_certificate(tmp_path)
    (tmp_path / "nginx.conf").write_text(with_own_paths(tmp_path))
    checked = _run("nginx", "-t", "-e", tmp_path / "error.log", "-c", tmp_path / "nginx.conf")
    assert checked.returncode == 0, checked.stderr


@needs_tools
def test_caddy_accepts_its_configuration(tmp_path: Path):
    home = {"HOME": str(tmp_path), "XDG_DATA_HOME": str(tmp_path), "XDG_CONFIG_HOME": str(tmp_path)}
    command = (TOOLS / "caddy", "validate", "--adapter", "caddyfile", "--config", DEPLOY / "proxy/Caddyfile")
    checked = _run(*command, **home)
    assert checked.returncode == 0, checked.stderr


@pytest.mark.parametrize("file", ["nginx.conf", "Caddyfile"])
def test_a_proxy_sends_again_what_only_asks(file: str):
    text = (DEPLOY / "proxy" / file).read_text("utf-8")
    (names,) = re.findall(r"\^/v1/\(([a-z|-]+)\)\$", text)
    asking = {route.path for route in ENDPOINTS if (route.method, route.scope) == ("POST", "score")}
    assert {f"/{name}" for name in names.split("|")} == asking


@_needs("systemd-analyze")
def test_systemd_accepts_the_unit(tmp_path: Path):
    unit = tmp_path / "oarlock.service"
    text = (DEPLOY / "systemd/oarlock.service").read_text("utf-8")
    # The program and its user are not on this machine.
    text = re.sub("^ExecStart=.*$", "ExecStart=/bin/true", text, flags=re.MULTILINE)
    unit.write_text(re.sub("^(User|Group)=.*$", r"\1=root", text, flags=re.MULTILINE))
    checked = _run("systemd-analyze", "verify", "--man=no", unit)
    assert (checked.returncode, checked.stderr) == (0, "")


def test_every_variable_that_is_named_is_a_setting():
    named = {
        variable
        for file in DEPLOY.rglob("*")
        if file.is_file()
        for variable in re.findall(rf"\b{ENVIRONMENT_PREFIX}[A-Z0-9_]+", file.read_text("utf-8"))
    }
    assert f"{ENVIRONMENT_PREFIX}STORES__ONLINE" in named
    assert [variable for variable in sorted(named) if not _is_setting(variable)] == []


def _is_setting(variable: str) -> bool:
    section, _, name = variable.removeprefix(ENVIRONMENT_PREFIX).lower().partition("__")
    field = Settings.model_fields.get(section)
    return field is not None and (not name or name in vars(field.annotation)["__pydantic_fields__"])


def _containers() -> Iterator[tuple[str, dict, dict]]:
    """Every pod in the manifests, with each of its containers."""
    for file in MANIFESTS:
        for document in yaml.safe_load_all(file.read_text("utf-8")):
            spec = document.get("spec", {})
            spec = spec.get("jobTemplate", {}).get("spec", spec)
            pod = spec.get("template", {}).get("spec", {}) if isinstance(spec.get("template"), dict) else {}
            for container in pod.get("containers", []):
                yield document["metadata"]["name"], pod, container


def test_every_pod_may_do_no_more_than_it_needs():
    names = []
    for name, pod, container in _containers():
        names.append(name)
        assert pod["securityContext"]["runAsNonRoot"]
        assert pod["securityContext"]["runAsUser"] == USER
        assert not pod["automountServiceAccountToken"]
        own = container["securityContext"]
        assert (own["readOnlyRootFilesystem"], own["allowPrivilegeEscalation"]) == (True, False)
        assert own["capabilities"] == {"drop": ["ALL"]}
        assert container["resources"]["requests"].keys() == {"cpu", "memory"}
        assert "memory" in container["resources"]["limits"]
    assert sorted(names) == ["oarlock", "oarlock-daily"]


def test_the_image_has_every_layer_and_no_root():
    text = (DEPLOY / "Dockerfile").read_text("utf-8")
    copied = {line.split()[1] for line in text.splitlines() if line.startswith("COPY") and "--from" not in line}
    layers = {"oarlock.py", "cli", "configs", "features", "monitoring", "serving", "training"}
    assert layers <= copied
    assert f"USER {USER}:{USER}" in text
    ignored = (ROOT / ".dockerignore").read_text("utf-8").splitlines()
    assert {line.removeprefix("!") for line in ignored if line.startswith("!")} == copied


def test_no_file_holds_a_password():
    for file in DEPLOY.rglob("*"):
        if file.is_file():
            passwords = re.findall(r"://[^:/@\s]*:([^@/\s]+)@", file.read_text("utf-8"))
            assert all(password.startswith("${") for password in passwords), file


def _pins(name: str) -> dict[str, str]:
    return dict(re.findall(r"^([a-z0-9-]+)(?:\[[^\]]*\])?==(\S+)", (ROOT / name).read_text("utf-8"), re.MULTILINE))


def test_the_image_has_the_packages_that_are_tested():
    image, tested = _pins("requirements-production.lock"), _pins("requirements.lock")
    assert {name: pin for name, pin in image.items() if tested.get(name) != pin} == {}
    assert {"redis", "psycopg", "bentoml", "mlflow"} <= image.keys()
    assert image.keys().isdisjoint({"pytest", "pyright", "hypothesis"})


@needs_tools
@pytest.mark.slow
def test_a_bento_is_built_without_a_network(tmp_path: Path):
    # BentoML asks for uv, and uses it for nothing here.
    environment = {"BENTOML_HOME": str(tmp_path), "PATH": f"{TOOLS}:{os.environ['PATH']}", "PYTHONPATH": str(ROOT)}
    offline = ("unshare", "--net") if _run("unshare", "--net", "true").returncode == 0 else ()
    bentoml = ROOT / ".venv/bin/bentoml"
    built = _run(*offline, bentoml, "build", "-f", "deploy/bentofile.yaml", ".", **environment)
    assert built.returncode == 0, built.stdout + built.stderr
    (bento,) = (path.parent for path in tmp_path.glob("bentos/oarlock/*/bento.yaml"))
    sources = {path.name for path in (bento / "src").iterdir()}
    assert {"oarlock.py", "cli", "configs", "features", "monitoring", "serving", "training"} <= sources
    assert sources.isdisjoint({"tests", "docs", "benchmarks"})
    requirements = (bento / "env/python/requirements.txt").read_text("utf-8")
    assert requirements.count("--hash=sha256:") > 1_000
