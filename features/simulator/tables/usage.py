"""The usage table: one row per account, day and event, following the account's health and its causes of churn."""

from dataclasses import dataclass

import numpy as np

from features.simulator.model.calendar import WEEKS_PER_MONTH, World, week_by_day
from features.simulator.model.population import account_ids
from features.simulator.model.trajectories import (
    Trajectories,
    temporary_cutoffs,
)
from features.simulator.tables.subscriptions import ContractTerms
from features.simulator.tables.table_builder import TableColumns, TextColumn

NIGHTLY_DELAY = 23 / 24  # a day's counts are recorded late in the evening
LATE_SHARE = 0.01
WEEKEND, FRIDAY, HOLIDAY = 0.12, 0.85, 0.15  # relative to an ordinary working day
HOLIDAYS = ((1, 1), (5, 1), (7, 4), (12, 24), (12, 25), (12, 26), (12, 31))  # month and day
RAMP_DAYS = 25.0
INTEGRATED_AFTER = 45  # days


@dataclass(frozen=True)
class EventType:
    """One kind of event: its daily rate per active person, and what changes that rate."""

    name: str
    rate: float
    value_gap_effect: float = 0.0  # how much a value gap lowers the log rate
    needs_integration: bool = False  # happens only after the integration
    early_effect: float = 0.0  # how much the first weeks raise the log rate


@dataclass(frozen=True)
class ActiveDays:
    """The account-days with service, as parallel arrays."""

    account: np.ndarray
    day: np.ndarray
    week: np.ndarray


EVENT_TYPES = (
    EventType("session", rate=1.6),
    EventType("record_edited", rate=4.0),
    EventType("report_viewed", rate=0.9, value_gap_effect=0.5),
    EventType("report_shared", rate=0.12, value_gap_effect=0.9),
    EventType("workflow_run", rate=0.5, value_gap_effect=0.4, needs_integration=True),
    EventType("integration_sync", rate=0.3, needs_integration=True),
    EventType("settings_changed", rate=0.03, early_effect=1.5),
)


def usage(trajectories: Trajectories, terms: ContractTerms, *, generator: np.random.Generator) -> TableColumns:
    """Daily counts by event and of active people; a count of zero has no row."""
    cells = _active_days(trajectories)
    people = generator.binomial(_seats(trajectories, terms, cells=cells), _seat_activity(trajectories, cells))
    counts = generator.poisson(_event_rates(trajectories, cells, generator=generator) * people)
    cell, event = np.nonzero(np.vstack([counts, people]).T)
    late = generator.random(len(cell)) < LATE_SHARE
    delay = NIGHTLY_DELAY + np.where(late, generator.integers(1, 6, len(cell)), 0)
    order = np.argsort(cells.day[cell], kind="stable")  # in the order of an event log
    cell, event, delay = cell[order], event[order], delay[order]
    at = cells.day[cell].astype(np.float64)
    return {
        "account_id": TextColumn(cells.account[cell], account_ids(trajectories.population)),
        "user_id": TextColumn(np.full(len(cell), -1), np.array([""])),
        "event": TextColumn(event, np.array([*(event.name for event in EVENT_TYPES), "active_users"])),
        "occurred_at": at,
        "quantity": np.vstack([counts, people])[event, cell],
        "recorded_at": at + delay,
    }


def _active_days(trajectories: Trajectories) -> ActiveDays:
    world, population = trajectories.world, trajectories.population
    day = np.arange(world.day_count)
    serving = (day >= population.start_day[:, None]) & (day < trajectories.outcomes.leaves_day[:, None])
    cutoff, cut_day = temporary_cutoffs(trajectories)
    for later in range(1, population.absence_days.max() + 1):
        is_absent = (population.absence_days[cutoff] >= later) & (cut_day + later < world.day_count)
        serving[cutoff[is_absent], cut_day[is_absent] + later] = False
    account, day = np.nonzero(serving)
    return ActiveDays(account, day, week_by_day(world)[day])


def _seat_activity(trajectories: Trajectories, cells: ActiveDays) -> np.ndarray:
    """The probability that a seat is used: account effect, fit, health, decay, ramp-up, weekday and holiday."""
    population = trajectories.population
    decay = 0.5 * trajectories.severity("adoption_decay") + 0.8 * trajectories.pressure("adoption_decay")
    health = 0.45 * trajectories.state("intensity")[:-1] - decay - 0.9 * trajectories.severity("stalled_implementation")
    logit = 0.1 + population.usage_effect + 0.4 * population.fit + health
    ramp = 1 - np.exp(-(cells.day - population.start_day[cells.account] + 2) / RAMP_DAYS)
    return ramp * _calendar_activity(trajectories.world)[cells.day] / (1 + np.exp(-logit[cells.week, cells.account]))


def _event_rates(trajectories: Trajectories, cells: ActiveDays, *, generator: np.random.Generator) -> np.ndarray:
    """The rate of each event per active person and day, (events, account-days)."""
    world, population = trajectories.world, trajectories.population
    value_gap = trajectories.pressure("value_gap")[cells.week, cells.account]
    age = cells.day - population.start_day[cells.account]
    stalled = trajectories.severity("stalled_implementation")[cells.week, cells.account] > 0
    is_integrated = (age > INTEGRATED_AFTER) & ~stalled
    event_effect = generator.normal(0.0, 0.35, (len(EVENT_TYPES), len(population)))
    usage_level = world.usage_level[cells.week]
    log_rates = [
        event_effect[index][cells.account] - event.value_gap_effect * value_gap + event.early_effect * np.exp(-age / 30)
        for index, event in enumerate(EVENT_TYPES)
    ]
    return np.stack([
        usage_level * event.rate * np.exp(log_rate) * (is_integrated if event.needs_integration else 1)
        for event, log_rate in zip(EVENT_TYPES, log_rates, strict=True)
    ])  # fmt: skip


def _calendar_activity(world: World) -> np.ndarray:
    """The activity of each day relative to an ordinary working day, (days,)."""
    dates = np.datetime64(world.company.start, "D") + np.arange(world.day_count)
    weekday = (dates.astype(np.int64) + 3) % 7
    months = dates.astype("datetime64[M]")
    of_year = np.stack([months.astype(np.int64) % 12 + 1, (dates - months).astype(np.int64) + 1], axis=1)
    holiday = (of_year[:, None] == np.array(HOLIDAYS)).all(axis=2).any(axis=1)
    working = np.where(weekday >= 5, WEEKEND, np.where(weekday == 4, FRIDAY, 1.0))
    return working * np.where(holiday, HOLIDAY, 1.0)


def _seats(trajectories: Trajectories, terms: ContractTerms, *, cells: ActiveDays) -> np.ndarray:
    """Seats on each account-day; a change takes effect on the month's anchor day."""
    month = cells.week // WEEKS_PER_MONTH
    anchor_day = trajectories.world.month_starts[month] + trajectories.population.anchor_day[cells.account] - 1
    return terms.seats[month + (cells.day >= anchor_day), cells.account].astype(np.int64)
