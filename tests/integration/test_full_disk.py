"""On a full disk a command says so in one sentence (exit code 13), leaves nothing half-written, and works later."""

import os
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from pathlib import Path

import pytest
import sqlalchemy as sql

from serving.ledger.ledger import RISKS, Ledger
from tests.support.paths import ROOT
from tests.support.service_process import apply_load, run_service, wait_until
from tests.support.small_disk import fill_disk, small_disk
from tests.support.trained_model import QUICK_TRAINING, TrainedModel, copy_folder

DISK_FULL = "The disk is full: nothing of this was written."


@pytest.fixture
def mount(tmp_path: Path) -> Iterator[Callable[[str], Path]]:
    """A function that mounts a small disk until the test ends."""
    with ExitStack() as stack:
        yield lambda size: stack.enter_context(small_disk(tmp_path / "disk", size))


def _close_logs(disk: Path) -> None:
    """Remove the write-ahead logs of SQLite, in which a command could write without more space."""
    for log in list(disk.rglob("*.db-wal")):
        with closing(sqlite3.connect(log.with_name(log.name.removesuffix("-wal")))) as connection:
            connection.execute("pragma wal_checkpoint(truncate)").fetchall()


def test_an_export_to_a_full_disk_has_served_nobody(oarlock, trained: TrainedModel, mount):
    disk = mount("64k")
    code, line = oarlock("score", "--all", "--output", str(disk / "scores.csv"), config=trained.config).failure
    assert (code, DISK_FULL in line, list(disk.iterdir())) == (13, True, [])
    with Ledger(trained.state.ledger).engine.connect() as connection:
        newest = sql.select(RISKS.c.purpose).order_by(RISKS.c.id.desc()).limit(100)
        assert set(connection.execute(newest).scalars()) == {"viewed"}


@pytest.mark.parametrize(
    "command",
    [
        ("score", "1096", "--json"),
        ("publish", "--backfill-from", "2023-07-01", "--json"),
        ("keys", "create", "--name", "crm", "--scope", "read"),
        ("erase", "1096", "--json"),
        pytest.param(("set-bands", "--sizes", "40", "20", "10"), marks=pytest.mark.slow),
        pytest.param(("recalibrate", "--json"), marks=pytest.mark.slow),
        pytest.param(("train", "--json"), marks=pytest.mark.slow),
    ],
    ids=lambda command: command[0],
)
def test_a_command_on_a_full_disk_works_once_there_is_space(oarlock, trained, mount, monkeypatch, command):
    for name, value in QUICK_TRAINING.items() if command[0] == "train" else ():
        monkeypatch.setenv(name, value)
    disk = mount("60m")
    copy_folder(trained.state.folder, disk / "state/crm5")
    config = Path(shutil.copy(trained.config, disk))
    _close_logs(disk)
    filler = fill_disk(disk)
    code, line = oarlock(*command, config=config).failure
    assert (code, "disk is full" in line) == (13, True)
    filler.unlink()
    assert oarlock("score", "1096", "--json", config=config).code == 0
    assert oarlock(*command, config=config).code == 0


@pytest.mark.slow
def test_a_service_under_load_refuses_while_the_disk_is_full_and_then_recovers(trained: TrainedModel, mount):
    disk = mount("80m")
    copy_folder(trained.state.folder, disk / "state/crm5")
    config = Path(shutil.copy(trained.config, disk))
    with run_service(config) as service, apply_load(service, ["1096"]) as load:
        load.wait_for(20)
        filler = fill_disk(disk)
        wait_until(lambda: len(load.errors) > 20)
        filler.unlink()
        load.wait_for(20)
        assert service.process.is_running()
    assert {response.status_code for response in load.responses.values()} == {200, 503}
    assert (load.failures, [text for text in load.errors if "ledger" not in text and "disk" not in text]) == ([], [])
    with Ledger(disk / "state/crm5/ledger.db").engine.connect() as connection:
        recorded = set(connection.execute(sql.select(RISKS.c.request_id)).scalars())
    assert load.acknowledged <= recorded


def test_metrics_on_a_full_disk_are_counted_in_memory(mount):
    disk = mount("64k")
    fill_disk(disk)
    code = "\n".join(
        [
            "from serving.telemetry.metrics import Metrics",
            "metrics = Metrics(lambda: [])",
            "metrics.requests.labels('GET', '/v1/model', 200).inc()",
            "print(metrics.render().decode())",
        ]
    )
    variables = os.environ | {"PROMETHEUS_MULTIPROC_DIR": str(disk)}
    result = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, env=variables, capture_output=True, text=True, check=False
    )
    assert (result.returncode, 'route="/v1/model",status="200"} 1.0' in result.stdout) == (0, True), result.stderr
