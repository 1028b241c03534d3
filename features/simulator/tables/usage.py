"""The usage table: people at work, one row per account, day and event, swinging with health and fading with decay."""

from dataclasses import dataclass

import numpy as np

from features.simulator.model.calendar import WEEKS_A_MONTH, World, week_of_day
from features.simulator.model.population import account_ids
from features.simulator.model.trajectories import Life, absences, course, pressures, severities
from features.simulator.tables.subscriptions import Terms
from features.simulator.tables.table_builder import Columns, Text

NIGHTLY = 23 / 24  # a day's counts are known late that evening
LATE_SHARE = 0.01
WEEKEND, FRIDAY, HOLIDAY = 0.12, 0.85, 0.15  # of an ordinary working day
HOLIDAYS = ((1, 1), (5, 1), (7, 4), (12, 24), (12, 25), (12, 26), (12, 31))  # month and day
RAMP_DAYS = 25.0
INTEGRATED_AFTER = 45  # days


@dataclass(frozen=True)
class Event:
    """What people do: how often each active person does it a day, and what shows in it besides their number."""

    name: str
    rate: float
    value: float = 0.0  # how strongly a value gap thins it out, in logs
    integrated: bool = False  # only once the integration runs
    early: float = 0.0  # how much more often in the first weeks, in logs


@dataclass(frozen=True)
class Cells:
    """The days on which accounts have service, as parallel arrays."""

    account: np.ndarray
    day: np.ndarray
    week: np.ndarray


EVENTS = (
    Event("session", rate=1.6),
    Event("record_edited", rate=4.0),
    Event("report_viewed", rate=0.9, value=0.5),
    Event("report_shared", rate=0.12, value=0.9),
    Event("workflow_run", rate=0.5, value=0.4, integrated=True),
    Event("integration_sync", rate=0.3, integrated=True),
    Event("settings_changed", rate=0.03, early=1.5),
)


def usage(life: Life, terms: Terms, *, generator: np.random.Generator) -> Columns:
    """Daily counts by event, and of active people; a day without any has no row."""
    cells = _cells(life)
    people = generator.binomial(_seats(life, terms, cells=cells), _activity(life, cells))
    counts = generator.poisson(_rates(life, cells, generator=generator) * people)
    cell, event = np.nonzero(np.vstack([counts, people]).T)
    late = generator.random(len(cell)) < LATE_SHARE
    delay = NIGHTLY + np.where(late, generator.integers(1, 6, len(cell)), 0)
    order = np.argsort(cells.day[cell], kind="stable")  # as a log of events is written
    cell, event, delay = cell[order], event[order], delay[order]
    at = cells.day[cell].astype(np.float64)
    return {
        "account_id": Text(cells.account[cell], account_ids(life.setting.population)),
        "user_id": Text(np.full(len(cell), -1), np.array([""])),
        "event": Text(event, np.array([*(event.name for event in EVENTS), "active_users"])),
        "occurred_at": at,
        "quantity": np.vstack([counts, people])[event, cell],
        "recorded_at": at + delay,
    }


def _cells(life: Life) -> Cells:
    world, population = life.setting.world, life.setting.population
    day = np.arange(world.days)
    serving = (day >= population.start_day[:, None]) & (day < life.fate.leaves_day[:, None])
    cut, cut_day = absences(life)
    for later in range(1, population.absence.max() + 1):
        gone = (population.absence[cut] >= later) & (cut_day + later < world.days)
        serving[cut[gone], cut_day[gone] + later] = False
    account, day = np.nonzero(serving)
    return Cells(account, day, week_of_day(world)[day])


def _activity(life: Life, cells: Cells) -> np.ndarray:
    """The chance that a seat is used: taste and fit, health's swings, decay, ramp-up, weekday and holiday."""
    population = life.setting.population
    decay = 0.5 * severities(life, "adoption_decay") + 0.8 * pressures(life, "adoption_decay")
    health = 0.45 * course(life, "intensity")[:-1] - decay - 0.9 * severities(life, "stalled_implementation")
    logit = 0.1 + population.taste + 0.4 * population.fit + health
    ramp = 1 - np.exp(-(cells.day - population.start_day[cells.account] + 2) / RAMP_DAYS)
    return ramp * _rhythm(life.setting.world)[cells.day] / (1 + np.exp(-logit[cells.week, cells.account]))


def _rates(life: Life, cells: Cells, *, generator: np.random.Generator) -> np.ndarray:
    """How often each active person does each thing on each day, (events, cells)."""
    world, population = life.setting.world, life.setting.population
    gap = pressures(life, "value_gap")[cells.week, cells.account]
    age = cells.day - population.start_day[cells.account]
    stalled = severities(life, "stalled_implementation")[cells.week, cells.account] > 0
    ready = (age > INTEGRATED_AFTER) & ~stalled
    taste = generator.normal(0.0, 0.35, (len(EVENTS), len(population.number)))
    level = world.usage_level[cells.week]
    return np.stack([
        level * event.rate * np.exp(taste[index][cells.account] - event.value * gap + event.early * np.exp(-age / 30))
        * (ready if event.integrated else 1)
        for index, event in enumerate(EVENTS)
    ])  # fmt: skip


def _rhythm(world: World) -> np.ndarray:
    """How much of an ordinary working day each day is, (days,)."""
    dates = np.datetime64(world.company.start, "D") + np.arange(world.days)
    weekday = (dates.astype(np.int64) + 3) % 7
    months = dates.astype("datetime64[M]")
    of_year = np.stack([months.astype(np.int64) % 12 + 1, (dates - months).astype(np.int64) + 1], axis=1)
    holiday = (of_year[:, None] == np.array(HOLIDAYS)).all(axis=2).any(axis=1)
    working = np.where(weekday >= 5, WEEKEND, np.where(weekday == 4, FRIDAY, 1.0))
    return working * np.where(holiday, HOLIDAY, 1.0)


def _seats(life: Life, terms: Terms, *, cells: Cells) -> np.ndarray:
    """Seats on each day; a change takes effect on the month's anchor day."""
    month = cells.week // WEEKS_A_MONTH
    anchor_day = life.setting.world.months[month] + life.setting.population.anchor[cells.account] - 1
    return terms.seats[month + (cells.day >= anchor_day), cells.account].astype(np.int64)
