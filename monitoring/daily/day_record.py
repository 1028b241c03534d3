"""The record of a day's job: which steps are done, when, for how long and with what result; one JSON file per day.

daily/2026-11-29.json    written before and after each step, so that a job that was killed is continued
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from datetime import datetime
from pathlib import Path
from typing import Literal

from configs.files import write_json
from configs.state_dir import StateDir
from configs.stored_files import read_stored
from monitoring.daily.step_names import STEPS, StepName

Outcome = Literal["done", "skipped", "failed", "stopped", "running", "not run"]
OUTCOMES: tuple[Outcome, ...] = ("done", "skipped", "failed", "stopped", "running", "not run")
COMPLETE: tuple[Outcome, ...] = ("done", "skipped")
REPEAT = "Delete it: the steps of the day are then repeated."


@dataclass(frozen=True)
class StepRecord:
    """How a step ended: `detail` is its result or its error, `seconds` how long it took."""

    outcome: Outcome = "not run"
    detail: str = ""
    started_at: datetime | None = None
    seconds: float = 0.0

    @property
    def is_complete(self) -> bool:
        """Whether the steps that need it may run."""
        return self.outcome in COMPLETE


@dataclass(frozen=True)
class DayRecord:
    """The steps of a day by name. `attempt` counts how often steps that were complete were asked for again.

    `last_done` says for each step when it was last done, on this day or an earlier one.
    """

    day: datetime
    attempt: int = 1
    steps: Mapping[StepName, StepRecord] = field(default_factory=dict[StepName, StepRecord])
    last_done: Mapping[StepName, datetime] = field(default_factory=dict[StepName, datetime])

    def step(self, name: StepName) -> StepRecord:
        """How a step of the day ended so far."""
        return self.steps.get(name, StepRecord())

    def with_step(self, name: StepName, step: StepRecord) -> "DayRecord":
        """The record after a step began or ended."""
        done = {name: step.started_at} if step.outcome == "done" and step.started_at else {}
        return replace(self, steps={**self.steps, name: step}, last_done={**self.last_done, **done})

    def repeat_from(self, first: StepName) -> "DayRecord":
        """The record in which this step and all later ones are not done yet."""
        earlier = STEPS[: STEPS.index(first)]
        steps = {name: step for name, step in self.steps.items() if name in earlier}
        return replace(self, attempt=self.attempt + 1, steps=steps)


def read_day_record(state: StateDir, day: datetime) -> DayRecord:
    """The record of a day; a new one, which knows what earlier days did, if the day was not begun yet.

    Raises DamagedState if a record cannot be read.
    """
    file = _file(state, day)
    if file.exists():
        return read_stored(file, DayRecord, REPEAT)
    earlier = sorted(other for other in state.daily.glob("*.json") if other.name < file.name)
    if not earlier:
        return DayRecord(day)
    return DayRecord(day, last_done=read_stored(earlier[-1], DayRecord, REPEAT).last_done)


def write_day_record(state: StateDir, record: DayRecord) -> None:
    """Replace the record of the day."""
    write_json(_file(state, record.day), describe_day(record))


def is_newest_day(state: StateDir, day: datetime) -> bool:
    """Whether no later day has a record."""
    return all(other.name <= _file(state, day).name for other in state.daily.glob("*.json"))


def describe_day(record: DayRecord) -> Mapping[str, object]:
    """The record as JSON, with the steps in their order."""
    steps = {name: _describe_step(record.step(name)) for name in STEPS}
    last_done = {name: at.isoformat() for name, at in record.last_done.items()}
    return {"day": record.day.isoformat(), "attempt": record.attempt, "steps": steps, "last_done": last_done}


def _describe_step(step: StepRecord) -> Mapping[str, object]:
    return asdict(step) | {"started_at": step.started_at and step.started_at.isoformat()}


def _file(state: StateDir, day: datetime) -> Path:
    return state.daily / f"{day:%Y-%m-%d}.json"
