"""The daily job: steps that are done are left out, a failure stops what needs it, and a killed job is continued."""

import os
import signal
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from configs.errors import DamagedState, DataError, NotReady
from configs.state_dir import StateDir
from monitoring.daily.day_metrics import write_day_metrics
from monitoring.daily.day_record import DayRecord, is_newest_day, read_day_record
from monitoring.daily.day_runner import DayResult, DayStep, StepSkipped, open_day, run_day
from monitoring.daily.step_names import STEPS, StepName

DAY = datetime(2026, 11, 29)
NEEDS: dict[StepName, tuple[StepName, ...]] = {
    "publish": ("validate",),
    "score": ("publish",),
    "export": ("score",),
    "webhooks": ("score",),
    "monitor": ("score",),
}


@pytest.fixture
def state(tmp_path: Path) -> StateDir:
    return StateDir(tmp_path)


def clock() -> datetime:
    return DAY + timedelta(hours=5)


def run(state: StateDir, *, first: StepName | None = None, day: datetime = DAY, **work: Callable[[], str]) -> DayResult:
    """Run all steps of a day; a step without work of its own is done at once."""
    steps = [DayStep(name, lambda _, name=name: work.get(name, lambda: "")(), NEEDS.get(name, ())) for name in STEPS]
    return run_day(state, open_day(state, day, first), steps, clock)


def fail() -> str:
    raise DataError("The target is full.", "Empty it.")


def skip() -> str:
    raise StepSkipped("nothing is declared")


def kill() -> str:
    os.kill(os.getpid(), signal.SIGKILL)
    return ""


def outcomes(record: DayRecord) -> list[str]:
    return [record.step(name).outcome for name in STEPS]


def test_a_day_runs_every_step_once(state):
    assert run(state).ran == STEPS
    assert run(state).ran == ()


def test_a_step_that_fails_stops_those_that_need_it(state):
    result = run(state, publish=fail)
    assert outcomes(result.record) == ["done", "failed", "not run", "not run", "not run", "not run"]
    assert result.record.step("monitor").detail == "it needs score"
    assert isinstance(result.error, DataError)


def test_the_others_go_on_and_the_failed_step_is_repeated(state):
    assert outcomes(run(state, export=fail).record) == ["done", "done", "done", "failed", "done", "done"]
    result = run(state)
    assert result.ran == ("export",)
    assert outcomes(result.record) == ["done"] * 6


def test_a_skipped_step_stops_nothing_and_is_looked_at_again(state):
    result = run(state, webhooks=skip)
    assert result.error is None
    assert result.record.step("webhooks").detail == "nothing is declared"
    assert run(state).ran == ("webhooks",)


def test_a_killed_job_goes_on_with_the_step_that_it_was_in(state):
    child = os.fork()
    if child == 0:
        run(state, score=kill)
    _, status = os.waitpid(child, 0)
    assert os.WTERMSIG(status) == signal.SIGKILL
    assert outcomes(read_day_record(state, DAY)) == ["done", "done", "running", "not run", "not run", "not run"]
    assert run(state).ran == ("score", "export", "webhooks", "monitor")


def test_an_interrupted_step_is_recorded_as_stopped(state):
    def interrupt() -> str:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run(state, publish=interrupt)
    assert outcomes(read_day_record(state, DAY))[:2] == ["done", "stopped"]


def test_from_a_step_on_everything_is_done_again(state):
    run(state)
    result = run(state, first="export")
    assert result.ran == ("export", "webhooks", "monitor")
    assert result.record.attempt == 2


def test_a_later_step_needs_the_earlier_ones(state):
    run(state, publish=fail)
    with pytest.raises(NotReady, match="publish of 2026-11-29 is not done"):
        run(state, first="score")


def test_a_damaged_record_is_named(state):
    run(state)
    file = state.daily / "2026-11-29.json"
    file.write_text("{")
    with pytest.raises(DamagedState, match=str(file)):
        run(state)


def test_metrics_say_when_a_step_was_last_done(state, tmp_path):
    run(state)
    later = DAY + timedelta(days=1)
    result = run(state, day=later, monitor=fail)
    write_day_metrics(tmp_path / "daily.prom", result.record)
    lines = (tmp_path / "daily.prom").read_text().splitlines()
    assert 'oarlock_daily_outcome{outcome="failed",step="monitor"} 1.0' in lines
    assert 'oarlock_daily_outcome{outcome="done",step="monitor"} 0.0' in lines
    (last,) = [line for line in lines if line.startswith('oarlock_daily_last_done_timestamp_seconds{step="monitor"}')]
    assert float(last.split()[-1]) == datetime.fromisoformat("2026-11-29T05:00:00+00:00").timestamp()
    assert is_newest_day(state, later)
    assert not is_newest_day(state, DAY)
