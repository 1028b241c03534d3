"""The usage table: people at work, one row per account, day and event, swinging with health and fading with decay."""

from dataclasses import dataclass

import numpy as np

from features.simulate.causes import CAUSE
from features.simulate.contracts import Terms
from features.simulate.life import Life, absent_from
from features.simulate.population import Population, account_ids
from features.simulate.rows import Columns, Text
from features.simulate.world import WEEKS_A_MONTH, World, week_of_day

NIGHTLY = 23 / 24  # a day's counts are known late that evening
LATE_SHARE = 0.01
WEEKEND = 0.12
HOLIDAYS = ((1, 1), (5, 1), (7, 4), (12, 24), (12, 25), (12, 26), (12, 31))
HOLIDAY = 0.15


@dataclass(frozen=True)
class Event:
    """What people do: how often each active person does it a day, and what shows in it besides their number."""

    name: str
    rate: float
    value: float = 0.0  # how strongly a value gap thins it out, in logs
    integrated: bool = False  # only once the integration is reached
    early: float = 0.0  # how much more often in the first weeks, in logs


EVENTS = (
    Event("session", rate=1.6),
    Event("record_edited", rate=4.0),
    Event("report_viewed", rate=0.9, value=0.5),
    Event("report_shared", rate=0.12, value=0.9),
    Event("workflow_run", rate=0.5, value=0.4, integrated=True),
    Event("integration_sync", rate=0.3, integrated=True),
    Event("settings_changed", rate=0.03, early=1.5),
)
ACTIVE_USERS = len(EVENTS)


def usage(world: World, population: Population, life: Life, *, terms: Terms, generator: np.random.Generator) -> Columns:
    """Daily counts by event, and of active people; days without any have no row."""
    account, day = np.nonzero(_serving(world, population, life))
    week = week_of_day(world)[day]
    chance = _activity(world, population, life, account=account, day=day)
    people = generator.binomial(_seats(world, population, terms, account=account, day=day), chance)
    taste = generator.normal(0.0, 0.35, (len(EVENTS), len(population.number)))
    gap = np.stack([state.pressure[CAUSE["value_gap"]] for state in life.states])[week, account]
    age = day - population.start_day[account]
    level = people * world.usage_level[week]
    ready = age > 45 + 300 * np.stack([s.severity[CAUSE["stalled_implementation"]] for s in life.states])[week, account]
    counts = [
        generator.poisson(level * event.rate * np.exp(taste[index, account] - event.value * gap + event.early * np.exp(-age / 30))
                          * (ready if event.integrated else 1))
        for index, event in enumerate(EVENTS)
    ]  # fmt: skip
    return _rows(population, np.stack([*counts, people]), account=account, day=day, generator=generator)


def _rows(
    population: Population, counts: np.ndarray, *, account: np.ndarray, day: np.ndarray, generator: np.random.Generator
) -> Columns:
    cell, event = np.nonzero(counts.T)
    late = generator.random(len(cell)) < LATE_SHARE
    at = day[cell].astype(np.float64)
    return {
        "account_id": Text(account[cell], account_ids(population)),
        "user_id": Text(np.full(len(cell), -1), np.array([""])),
        "event": Text(event, np.array([*(event.name for event in EVENTS), "active_users"])),
        "occurred_at": at,
        "quantity": counts[event, cell],
        "recorded_at": at + NIGHTLY + np.where(late, generator.integers(1, 6, len(cell)), 0),
    }


def _serving(world: World, population: Population, life: Life) -> np.ndarray:
    """Whether each account has service on each day, (accounts, days)."""
    day = np.arange(world.days)
    serving = (day >= population.start_day[:, None]) & (day < life.fate.leaves_day[:, None])
    cut_day, cut = absent_from(world, population, life)
    for later in range(1, 7):
        gone = (population.absence[cut] >= later) & (cut_day + later < world.days)
        serving[cut[gone], cut_day[gone] + later] = False
    return serving


def _activity(world: World, population: Population, life: Life, *, account: np.ndarray, day: np.ndarray) -> np.ndarray:
    """The chance that a seat is used: taste and fit, health's swings, decay, ramp-up, weekday and holiday."""
    swings = np.stack([state.intensity for state in life.states]) * 0.35
    decay = np.stack([state.severity[CAUSE["adoption_decay"]] for state in life.states])
    felt = np.stack([state.pressure[CAUSE["adoption_decay"]] for state in life.states])
    stall = np.stack([state.severity[CAUSE["stalled_implementation"]] for state in life.states])
    weekly = 0.1 + population.taste + 0.3 * population.fit + swings - 0.4 * decay - 0.7 * felt - 0.9 * stall
    ramp = 1 - np.exp(-(day - population.start_day[account] + 2) / 25)
    return ramp * _rhythm(world)[day] / (1 + np.exp(-weekly[week_of_day(world)[day], account]))


def _rhythm(world: World) -> np.ndarray:
    """How much of an ordinary working day each day is, (days,)."""
    dates = np.datetime64(world.company.start, "D") + np.arange(world.days)
    weekday = (dates.astype(np.int64) + 3) % 7
    months = dates.astype("datetime64[M]")
    of_year = np.stack([months.astype(np.int64) % 12 + 1, (dates - months).astype(np.int64) + 1], axis=1)
    holiday = (of_year[:, None] == np.array(HOLIDAYS)).all(axis=2).any(axis=1)
    return np.where(weekday >= 5, WEEKEND, 1.0) * np.where(holiday, HOLIDAY, 1.0) * np.where(weekday == 4, 0.85, 1.0)


def _seats(world: World, population: Population, terms: Terms, *, account: np.ndarray, day: np.ndarray) -> np.ndarray:
    """Seats on each day; a change takes effect on the month's anchor day."""
    month = week_of_day(world)[day] // WEEKS_A_MONTH
    before_anchor = day < world.months[month] + population.anchor[account] - 1
    return terms.seats[month + 1 - before_anchor, account].astype(np.int64)
