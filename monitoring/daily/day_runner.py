"""Runs the steps of a day in order; a step that is done is left out, so a job may be killed at any time."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from configs.errors import NotReady, OarlockError
from configs.state_dir import StateDir
from monitoring.daily.day_record import DayRecord, StepRecord, read_day_record, write_day_record
from monitoring.daily.step_names import STEPS, StepName

INTERRUPTED = "it was stopped"


class StepSkipped(Exception):
    """A step has nothing to do today; the message says why."""


@dataclass(frozen=True)
class DayStep:
    """A step: `run` does it and returns its result in a few words. Without the steps that it `needs` it is not run.

    `run` raises StepSkipped if there is nothing to do.
    """

    name: StepName
    run: Callable[[DayRecord], str]
    needs: tuple[StepName, ...] = ()


@dataclass(frozen=True)
class DayResult:
    """The record after a run, which steps this run did, and the first error if a step failed."""

    record: DayRecord
    ran: tuple[StepName, ...]
    error: OarlockError | None


def open_day(state: StateDir, day: datetime, first: StepName | None) -> DayRecord:
    """The record of a day to continue, from the step `first` on if it is named.

    Raises NotReady if a step before `first` is not complete.
    """
    record = read_day_record(state, day)
    if first is None:
        return record
    open_steps = [name for name in STEPS[: STEPS.index(first)] if not record.step(name).is_complete]
    if open_steps:
        message = f"The step {open_steps[0]} of {day:%Y-%m-%d} is not done, and {first} comes after it."
        raise NotReady(message, "Run `oarlock run daily` without --from-step: it does what is missing.")
    return record.repeat_from(first)


def run_day(state: StateDir, record: DayRecord, steps: Sequence[DayStep], clock: Callable[[], datetime]) -> DayResult:
    """Run the steps that are not done. A step that fails stops those that need it; the others go on."""
    ran, first_error = list[StepName](), None
    for step in steps:
        if record.step(step.name).outcome == "done":
            continue
        missing = [name for name in step.needs if not record.step(name).is_complete]
        if missing:
            record = record.with_step(step.name, StepRecord(detail=f"it needs {missing[0]}"))
            continue
        record, error = _run_step(state, record, step, clock)
        ran.append(step.name)
        first_error = first_error or error
    write_day_record(state, record)
    return DayResult(record, tuple(ran), first_error)


def _run_step(
    state: StateDir, record: DayRecord, step: DayStep, clock: Callable[[], datetime]
) -> tuple[DayRecord, OarlockError | None]:
    running = StepRecord("running", started_at=clock())
    write_day_record(state, record.with_step(step.name, running))
    ended, error = replace(running, outcome="stopped", detail=INTERRUPTED), None
    try:
        ended = replace(running, outcome="done", detail=step.run(record))
    except StepSkipped as skipped:
        ended = replace(running, outcome="skipped", detail=str(skipped))
    except OarlockError as failure:
        ended, error = replace(running, outcome="failed", detail=str(failure)), failure
    finally:
        ended = replace(ended, seconds=(clock() - (running.started_at or clock())).total_seconds())
        record = record.with_step(step.name, ended)
        write_day_record(state, record)
    return record, error
