"""The alert rules and the board: they are valid, and every metric and value that they name exists."""

import json
import re
import shutil
import subprocess
from typing import get_args

import pytest

from monitoring.verdicts.verdict import ALARMS
from serving.ledger.monitor_runs import FIGURE_MEANINGS
from serving.schemas.enums import HealthVerdict
from serving.telemetry.gauges import STATE_METRICS
from serving.telemetry.metrics import Metrics
from tests.support.paths import ROOT

FOLDER = ROOT / "configs/monitoring"
BOARD, RULES, RULES_TEST, RULES_TEST_DAYS = (
    FOLDER / name for name in ("board.json", "rules.yml", "rules_test.yml", "rules_test_days.yml")
)
FILES = pytest.mark.parametrize("file", [BOARD, RULES, RULES_TEST, RULES_TEST_DAYS], ids=lambda file: file.name)


def exposed_names() -> set[str]:
    """The name of every series in `/metrics`, whatever its labels."""
    process = {name for family in Metrics(lambda: []).registry.collect() for name in _series(family.name, family.type)}
    return process | {f"{family.name}_total" if family.is_counter else family.name for family in STATE_METRICS}


def _series(name: str, kind: str) -> list[str]:
    suffixes = {"counter": ["_total"], "histogram": ["_bucket", "_sum", "_count"]}.get(kind, [""])
    return [f"{name}{suffix}" for suffix in suffixes]


@FILES
@pytest.mark.usefixtures("in_memory_metrics")
def test_every_metric_that_is_named_exists(file):
    named = set(re.findall(r"\boarlock_\w+", file.read_text("utf-8")))
    assert len(named) > 2
    assert named - exposed_names() == set()


@FILES
def test_every_verdict_and_figure_that_is_named_exists(file):
    text = file.read_text("utf-8").replace('\\"', '"')
    verdicts = {name for group in re.findall(r'verdict!?=~?"([^"$]+)"', text) for name in group.split("|")}
    figures = {name for group in re.findall(r'figure=~?"([^"]+)"', text) for name in group.split("|")}
    assert verdicts - {*get_args(HealthVerdict)} == set()
    assert figures - {*FIGURE_MEANINGS} == set()


def test_every_alarm_of_monitoring_and_no_other_verdict_fires():
    (quiet,) = re.findall(r'verdict!~"([^"]+)"', RULES.read_text("utf-8"))
    assert {*get_args(HealthVerdict)} - {*quiet.split("|")} == {*ALARMS} - {"plays work"}


def test_the_panels_of_the_board_do_not_overlap():
    panels = [panel["gridPos"] for panel in json.loads(BOARD.read_text("utf-8"))["panels"]]
    cells = [(x, y) for p in panels for x in range(p["x"], p["x"] + p["w"]) for y in range(p["y"], p["y"] + p["h"])]
    assert len(cells) == len({*cells})
    assert max(x for x, _ in cells) < 24


def test_the_board_shows_every_promise_with_the_allowance_of_its_alerts():
    rules, expressions = RULES.read_text("utf-8"), BOARD.read_text("utf-8")
    alerts = dict(re.findall(r"oarlock:(\w+):ratio_1h > 14\.4 \* ([\d.]+)", rules))
    shown = re.findall(r"(oarlock:(\w+):ratio_\w+)\{[^}]*\} / ([\d.]+)", expressions)
    assert {(promise, share) for _, promise, share in shown} == {*alerts.items()}
    assert len(alerts) == 4
    assert {record for record, _, _ in shown} - {*re.findall(r"record: (\S+)", rules)} == set()


@pytest.mark.skipif(shutil.which("promtool") is None, reason="promtool is not installed")
@pytest.mark.parametrize(
    "arguments",
    [
        ("check", "rules", RULES.name),
        pytest.param(("test", "rules", RULES_TEST.name, RULES_TEST_DAYS.name), marks=pytest.mark.slow),
    ],
)
def test_prometheus_accepts_the_rules_and_they_fire_as_expected(arguments):
    result = subprocess.run(["promtool", *arguments], cwd=FOLDER, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stdout + result.stderr
