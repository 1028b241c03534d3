"""Metrics: what the newest run of monitoring said, and a page that names every metric."""

import re
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import get_args

import pytest

from configs.errors import NoChampion
from configs.state_dir import StateDir
from serving.ledger.ledger import Ledger
from serving.ledger.monitor_runs import BrokenSource, MonitorRun, RunStore
from serving.schemas.enums import HealthVerdict
from serving.telemetry.gauges import STATE_METRICS, GaugeCollector
from serving.telemetry.metrics import Metrics
from tests.support.paths import ROOT

pytestmark = pytest.mark.usefixtures("in_memory_metrics")
DAY = datetime(2024, 3, 1)
FIGURES = {"outcome_evidence": 9e4, "outcome_threshold": 8480.0, "drifted_signals": 2.0}
RUN = MonitorRun(
    DAY,
    DAY,
    1,
    "mend a source",
    "usage",
    "usage stopped",
    None,
    DAY,
    FIGURES,
    sources=(BrokenSource("usage", DAY, "x"),),
)
LISTED = re.compile(r"^\| `(\w+)` \| (\w+) \| ([^|]*)\| (.+) \|$", re.MULTILINE)


def no_model() -> dict[str, object]:
    raise NoChampion("there is none")


@pytest.fixture
def gauges(tmp_path: Path) -> GaugeCollector:
    store = RunStore(Ledger(tmp_path / "ledger.db").engine)
    store.save(replace(RUN, verdict="ok", sources=()))
    store.save(RUN)
    store.acknowledge(replace(RUN, verdict="population moved"), DAY + timedelta(days=9), "a price rise", at=DAY)
    ledger, later = Ledger(tmp_path / "ledger.db"), DAY + timedelta(hours=1)
    return GaugeCollector(StateDir(tmp_path), ledger, no_model, clock=lambda: later, wall_clock=lambda: later)


def test_the_newest_run_is_exposed(gauges: GaugeCollector):
    gauges.read_database()
    lines = Metrics(gauges).render().decode().splitlines()
    assert [line for line in lines if line.startswith("oarlock_monitor") and not line.endswith(" 0.0")] == [
        'oarlock_monitor_verdict{verdict="mend a source"} 1.0',
        "oarlock_monitor_run_age_seconds 3600.0",
        'oarlock_monitor_evidence{detector="outcome"} 90000.0',
        'oarlock_monitor_alarm_level{detector="outcome"} 8480.0',
        *(f'oarlock_monitor_figure{{figure="{name}"}} {value}' for name, value in FIGURES.items()),
        'oarlock_monitor_broken_source{table="usage"} 1.0',
        'oarlock_monitor_acknowledged{verdict="population moved"} 1.0',
        'oarlock_monitor_runs_total{verdict="mend a source"} 1.0',
        'oarlock_monitor_runs_total{verdict="ok"} 1.0',
    ]
    for verdict in get_args(HealthVerdict):
        assert any(line.startswith(f'oarlock_monitor_verdict{{verdict="{verdict}"}}') for line in lines)


def test_without_a_run_its_metrics_are_absent(tmp_path: Path):
    ledger = Ledger(tmp_path / "ledger.db")
    gauges = GaugeCollector(StateDir(tmp_path), ledger, no_model, clock=lambda: DAY, wall_clock=lambda: DAY)
    gauges.read_database()
    assert b"oarlock_monitor" not in Metrics(gauges).render()


def test_the_reference_lists_every_metric_with_its_description():
    process = Metrics(lambda: []).registry.collect()
    counted = {f"{family.name}_total" if family.type == "counter" else family.name: family for family in process}
    expected = {name: (family.type, family.documentation) for name, family in counted.items()}
    for family in STATE_METRICS:
        name, kind = (f"{family.name}_total", "counter") if family.is_counter else (family.name, "gauge")
        expected[name] = (kind, family.description)
    page = LISTED.findall((ROOT / "docs/reference/metrics.md").read_text("utf-8"))
    assert {name: (kind, meaning) for name, kind, _, meaning in page} == expected
    labels = {name: tuple(re.findall(r"`(\w+)`", text)) for name, _, text, _ in page}
    assert all(labels[f"{f.name}_total" if f.is_counter else f.name] == f.label_names for f in STATE_METRICS)
