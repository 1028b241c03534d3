"""What the tests of the documentation share: a clone of the project in which `make demo` was run once."""

import os
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from configs.files import awaited_lock
from tests.support.doc_servers import RunningServers, ShownServers, names_servers, start_shown_servers
from tests.support.doc_shell import DocShell
from tests.support.paths import ROOT

CLONED = ("configs", "examples", "Makefile", "pyproject.toml", "requirements.lock")


@pytest.fixture(scope="session")
def demo_clone(run_folder: Path) -> Path:
    """A folder like a fresh clone, with the environment installed, after `make demo`; one for all processes."""
    with awaited_lock(run_folder / "demo.lock"):
        clone = run_folder / "demo"
        if not clone.exists():
            _run_demo(run_folder / "unfinished").rename(clone)
    return clone


def _run_demo(clone: Path) -> Path:
    clone.mkdir()
    for name in CLONED:
        source = ROOT / name
        shutil.copytree(source, clone / name) if source.is_dir() else shutil.copy(source, clone / name)
    (clone / ".venv").mkdir()
    for name in ("bin", "lib", "pyvenv.cfg"):
        (clone / ".venv" / name).symlink_to(Path(sys.prefix) / name)
    (clone / ".venv" / "installed").touch()
    (clone / ".curlrc").write_text("fail-with-body\n")  # an error of the service fails its example
    with DocShell(clone, environment(clone)) as shell:
        done = shell.run("make demo")
    assert done.exit_code == 0, done.output
    return clone


@pytest.fixture
def shell(demo_clone: Path, tmp_path: Path, shown_servers: ShownServers) -> Iterator[DocShell]:
    """A shell in a copy of the clone that one page may change."""
    folder = Path(shutil.copytree(demo_clone, tmp_path / "oarlock", symlinks=True))
    with DocShell(folder, environment(folder), shown_servers) as shell:
        yield shell
    shutil.rmtree(folder)


@pytest.fixture
def page() -> str | None:
    """The page whose examples are run, if a test is of one."""
    return None


@pytest.fixture
def shown_servers(page: str | None, request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[ShownServers]:
    """The servers that a page names; skips the page if they are not reachable."""
    text = "" if page is None else (ROOT / page).read_text("utf-8")
    if not names_servers(text):
        yield ShownServers()
        return
    servers = RunningServers(*(request.getfixturevalue(name) for name in ("postgres_server", "redis_server")))
    with start_shown_servers(text, servers, tmp_path) as shown:
        yield shown


def environment(folder: Path) -> dict[str, str]:
    """The environment of a shell: that of the test without its settings, `oarlock` on the path, and no terminal."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("OARLOCK_")}
    path = f"{folder}/.venv/bin:{kept['PATH']}"
    return kept | {"PATH": path, "CURL_HOME": str(folder), "COLUMNS": "100", "TERM": "dumb"}
