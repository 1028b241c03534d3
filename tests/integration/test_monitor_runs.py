"""Runs of `oarlock monitor`: what is stored, what stays, and what is acknowledged."""

from dataclasses import replace
from datetime import datetime, timedelta

import pytest

from monitoring.verdicts.latch import latch, restart_after
from monitoring.verdicts.verdict import HealthDecision
from serving.ledger.ledger import Ledger
from serving.ledger.monitor_runs import MonitorRun, RunStore
from serving.schemas.enums import HealthVerdict

DAY = datetime(2024, 3, 1)
RUN = MonitorRun(DAY, DAY, 1, "level moved: recalibrate", "level", "more leave", None, DAY, {"outcome_evidence": 9e4})
OK = HealthDecision("ok", "as expected")


@pytest.fixture
def store(tmp_path) -> RunStore:
    return RunStore(Ledger(tmp_path / "ledger.db").engine)


def test_the_last_run_of_each_day_is_listed(store: RunStore):
    later = replace(RUN, as_of=DAY + timedelta(days=7), verdict="ok", subject="")
    for run in (replace(RUN, verdict="ok"), RUN, later):
        store.save(run)
    assert store.since(DAY) == [RUN, later]
    assert store.since(DAY + timedelta(days=1)) == [later] == [store.last()]


def test_a_verdict_is_acknowledged_until_a_day(store: RunStore):
    store.acknowledge(RUN, DAY + timedelta(days=30), "a known price rise", at=DAY)
    assert store.acknowledged(DAY) == {("level moved: recalibrate", "level")}
    assert store.acknowledged(DAY + timedelta(days=30)) == frozenset()


def test_an_alarm_stays_until_a_promotion_or_until_its_evidence_is_gone():
    assert latch(OK, [RUN], 1, evidence=50.0).verdict == "level moved: recalibrate"
    assert latch(OK, [RUN], 2, evidence=50.0) == OK
    assert latch(OK, [RUN], 1, evidence=0.5) == OK


@pytest.mark.parametrize("verdict", ["ok", "cannot tell yet", "plays work", "mend a source"])
def test_other_verdicts_do_not_stay(verdict: HealthVerdict):
    assert latch(OK, [replace(RUN, verdict=verdict)], 1, evidence=50.0) == OK


def test_a_passing_verdict_does_not_end_an_alarm():
    plays = replace(RUN, verdict="plays work", subject="plays")
    assert latch(HealthDecision("plays work", "they do"), [RUN, plays], 1, evidence=50.0).subject == "level"
    assert latch(OK, [RUN, replace(RUN, verdict="ok")], 1, evidence=50.0) == OK


def test_a_worse_verdict_replaces_an_alarm():
    worse = HealthDecision("cause changed: retrain", "a family", subject="family usage")
    assert latch(worse, [RUN], 1, evidence=50.0) == worse


def test_a_latched_cause_is_said_once():
    stayed = latch(OK, [RUN], 1, evidence=50.0)
    assert latch(OK, [replace(RUN, cause=stayed.cause)], 1, evidence=50.0).cause == stayed.cause


def test_a_latched_alarm_says_what_waiting_costs():
    alarm = replace(RUN, waiting="about 0.0123 of log loss per account and cohort")
    assert latch(OK, [alarm], 1, evidence=50.0).waiting == alarm.waiting


def test_a_new_champion_is_not_blamed_for_the_old():
    assert (restart_after([RUN], 1), restart_after([RUN], 2), restart_after([], 2)) == (0, 1, 0)
