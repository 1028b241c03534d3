"""The examples for schedulers: each is valid, starts a command that exists, and never starts two at once."""

import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest
import yaml

from oarlock import cli
from tests.support.paths import ROOT

EXAMPLES = ROOT / "deploy/schedules"
PYTHON = ROOT / ".venv-schedules/bin/python"
in_environment = pytest.mark.skipif(not PYTHON.exists(), reason="run `make test-schedules`")
AIRFLOW = """
import json, runpy
dag = runpy.run_path("airflow_dag.py")["dag"]
task, = dag.tasks
print(json.dumps([dag.dag_id, dag.catchup, dag.max_active_runs, task.bash_command, list(task.skip_on_exit_code)]))
"""
DAGSTER = """
import runpy, sys
module = runpy.run_path("dagster_job.py")
module["run_daily"].compute_fn.decorated_fn.__globals__["FOLDER"] = sys.argv[1]
print(module["definitions"].resolve_job_def("oarlock_daily").execute_in_process().success)
"""


def run_in_environment(code: str, home: Path, *arguments: str) -> str:
    environment = {"AIRFLOW_HOME": str(home), "DAGSTER_HOME": str(home), "PATH": "/usr/bin:/bin"}
    command = [str(PYTHON), "-c", code, *arguments]
    done = subprocess.run(command, cwd=EXAMPLES, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip().splitlines()[-1]


@pytest.mark.parametrize("file", sorted(EXAMPLES.iterdir()), ids=lambda file: file.name)
def test_an_example_starts_the_daily_job(file: Path):
    if file.suffix == ".timer":
        return
    text = re.sub(r'[",\[\]()]', " ", file.read_text())
    assert re.search(r"\brun\s+daily\b", text)
    assert cli.commands["run"].commands["daily"]  # pyright: ignore[reportAttributeAccessIssue]


@pytest.mark.skipif(not shutil.which("systemd-analyze"), reason="needs systemd-analyze")
def test_the_units_are_valid(tmp_path: Path):
    for unit in EXAMPLES.glob("oarlock-daily.*"):
        # Neither the user nor the program of the example is on this machine.
        content = re.sub(r"^ExecStart=\S+", "ExecStart=/bin/true", unit.read_text(), flags=re.MULTILINE)
        (tmp_path / unit.name).write_text(content.replace("User=oarlock\n", ""))
    units = sorted(map(str, tmp_path.iterdir()))
    done = subprocess.run(["systemd-analyze", "verify", *units], capture_output=True, text=True, check=False)
    assert (done.returncode, [line for line in done.stderr.splitlines() if "oarlock-daily" in line]) == (0, [])


def test_the_cron_job_forbids_a_second_one():
    job = yaml.safe_load((EXAMPLES / "kubernetes-cronjob.yaml").read_text())
    assert (job["kind"], job["spec"]["concurrencyPolicy"]) == ("CronJob", "Forbid")
    (container,) = job["spec"]["jobTemplate"]["spec"]["template"]["spec"]["containers"]
    assert container["args"][-2:] == ["run", "daily"]
    assert {mount["name"] for mount in container["volumeMounts"]} == {"settings", "state", "scratch"}


@in_environment
def test_airflow_imports_its_example(tmp_path: Path):
    imported = json.loads(run_in_environment(AIRFLOW, tmp_path))
    assert imported == ["oarlock_daily", False, 1, ".venv/bin/oarlock --config churn.toml run daily", [7]]


@in_environment
@pytest.mark.parametrize("exit_code", [0, 7])
def test_dagster_runs_its_example(tmp_path: Path, exit_code: int):
    program = tmp_path / ".venv/bin/oarlock"
    program.parent.mkdir(parents=True)
    steps = {"steps": {"validate": {"outcome": "done", "detail": "3 tables"}}}
    program.write_text(f"#!/bin/sh\necho '{json.dumps(steps)}'\nexit {exit_code}\n")
    program.chmod(0o755)
    assert run_in_environment(DAGSTER, tmp_path, str(tmp_path)) == "True"
