"""The daily job on a real state folder: its steps, two schedulers at once, and an attempt that was killed."""

import json
import os
import signal
import sqlite3
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path

import pytest

from configs.errors import Busy
from configs.files import exclusive_lock, read_json
from configs.settings_file import read_settings
from configs.state_dir import open_state_dir
from serving.ledger.database import exclusive_work, open_database
from serving.ledger.ledger import open_ledger
from serving.scoring.batch import open_batch
from serving.scoring.scorer import open_scorer
from tests.support.paths import ROOT
from tests.support.trained_model import EXTRACT_END, TrainedModel, copy_without_risks

ACCOUNTS = 1222


@pytest.fixture
def config(trained: TrainedModel, tmp_path: Path) -> Path:
    """The settings of a trained model of its own, which are to be exported every day."""
    file = copy_without_risks(trained, tmp_path / "crm5")
    file.write_text(f'{file.read_text()}\n[[daily.exports]]\noutput = "scores.csv"\n')
    return file


def daily(oarlock, config: Path, *options: str) -> dict:
    return json.loads(oarlock("run", "daily", "--json", *options, config=config).out)


def served_requests(config: Path) -> list[str]:
    """The request of each risk that was served, in their order."""
    with closing(sqlite3.connect(config.parent / "state/crm5/ledger.db")) as database:
        rows = database.execute("select request_id from risks where purpose = 'served' order by id")
        return [request_id for (request_id,) in rows]


def test_a_day_is_done_once(oarlock, config):
    first = daily(oarlock, config)
    assert first["ran"] == ["validate", "publish", "score", "export", "webhooks", "monitor"]
    assert {name: step["outcome"] for name, step in first["steps"].items()} == {
        "validate": "done",
        "publish": "done",
        "score": "done",
        "export": "done",
        "webhooks": "skipped",
        "monitor": "done",
    }
    assert len((config.parent / "scores.csv").read_text().splitlines()) == ACCOUNTS + 1
    assert 'step="monitor"' in (config.parent / "state/crm5/daily.prom").read_text()
    assert len(served_requests(config)) == 2 * ACCOUNTS  # scored and exported
    assert daily(oarlock, config)["ran"] == ["webhooks"]
    assert len(served_requests(config)) == 2 * ACCOUNTS


def test_a_killed_attempt_leaves_no_account_twice(oarlock, config):
    settings = read_settings(config)
    state = open_state_dir(settings)
    ledger = open_ledger(settings, state)
    batch = open_batch(state, open_scorer(settings, state, lambda: EXTRACT_END, ledger), [], None)
    version = batch.scorer.champions.champion().version.number
    request_id = f"daily-20230701-1-score-{version}"
    scored = batch.account_ids[:500]
    batch.continued(request_id, set(batch.account_ids) - set(scored)).score_all(0)
    export_id = "daily-20230701-1-export-0"
    batch.continued(export_id, set(batch.account_ids) - set(scored)).score_all(0)

    daily(oarlock, config)
    served = served_requests(config)
    assert served.count(request_id) == ACCOUNTS
    assert served.count(export_id) == ACCOUNTS  # what was not delivered counts as viewed


@pytest.mark.slow
def test_a_job_that_is_killed_is_continued(oarlock, config):
    command = [sys.executable, str(ROOT / "oarlock.py"), "--config", str(config), "run", "daily"]
    job = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True)
    record, deadline = config.parent / "state/crm5/daily/2023-07-01.json", time.monotonic() + 60
    while not (record.exists() and read_json(record)["steps"]["score"]["outcome"] == "done"):
        assert time.monotonic() < deadline
        time.sleep(0.01)
    os.killpg(job.pid, signal.SIGKILL)
    job.wait()
    assert {"validate", "publish", "score"}.isdisjoint(daily(oarlock, config)["ran"])
    assert len(set(served_requests(config))) == 2
    assert len(served_requests(config)) == 2 * ACCOUNTS


def test_a_past_day_is_published_and_nothing_else(oarlock, config):
    steps = daily(oarlock, config, "--as-of", "2023-06-01")["steps"]
    assert steps["publish"]["outcome"] == "done"
    assert {steps[name]["detail"] for name in ("score", "export", "webhooks", "monitor")} == {"2023-07-01 is online"}
    assert served_requests(config) == []


def test_an_export_that_fails_does_not_stop_the_monitoring(oarlock, config):
    config.write_text(config.read_text().replace('"scores.csv"', '"missing/scores.csv"'))
    result = oarlock("run", "daily", "--json", config=config)
    steps = json.loads(result.out)["steps"]
    assert (steps["export"]["outcome"], steps["monitor"]["outcome"]) == ("failed", "done")
    assert result.failure[0] == 2
    assert "missing is not a folder" in result.failure[1]


def test_a_second_scheduler_ends_at_once(oarlock, config):
    state = open_state_dir(read_settings(config))
    with exclusive_lock(state.daily_lock, "running the daily job in"):
        assert oarlock("run", "daily", config=config).failure == (
            7,
            f"oarlock: Another process is running the daily job in {state.folder}. Run this again when it has"
            " finished.",
        )


def test_a_second_scheduler_on_another_machine_ends_at_once(postgres):
    first, second = open_database(postgres), open_database(postgres)
    with exclusive_work(first, "the daily job of crm5"):
        with pytest.raises(Busy, match="the daily job of crm5"), exclusive_work(second, "the daily job of crm5"):
            pass
        with exclusive_work(second, "the daily job of another"):
            pass
    with exclusive_work(second, "the daily job of crm5"):
        pass
    first.dispose()
    second.dispose()


def test_an_export_that_is_no_table_is_named(oarlock, config):
    config.write_text('state = "state"\n[data]\ndataset = "x.toml"\n[daily]\nexports = ["scores.csv"]\n')
    code, message = oarlock("run", "daily", config=config).failure
    assert code == 2
    assert "daily.exports.0" in message
