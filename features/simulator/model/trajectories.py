"""What really happens: simulates every account week by week, and which of them leave."""

import dataclasses
from dataclasses import dataclass

import numpy as np

from features.simulator.model.calendar import WEEKS_PER_MONTH, World, week_by_day
from features.simulator.model.churn_causes import CAUSE_INDEX
from features.simulator.model.hazard import SpecialDay, daily_hazard, effective_day, ordinary_logit_parts, special_day
from features.simulator.model.hidden_state import (
    HiddenState,
    advance_week,
    draw_card_failures,
    initial_state,
    reset_new_accounts,
)
from features.simulator.model.population import Population, Scenario, start_week
from features.simulator.model.treatment_policy import assign_plays

NEVER = 10**6


@dataclass(frozen=True)
class ChurnOutcomes:
    """The day on which each account decided to leave and on which its subscription ends; NEVER if it stays."""

    decided_day: np.ndarray
    leaves_day: np.ndarray
    failed_card: np.ndarray  # left because a payment failed


@dataclass(frozen=True)
class Trajectories:
    """The simulated weeks of some accounts. The last axis of every array runs over accounts."""

    scenario: Scenario
    month_states: tuple[HiddenState, ...]  # at each month's start and at the end, before plays are assigned
    week_states: tuple[HiddenState, ...]  # at each week's start, after plays are assigned, and at the end
    logit_parts: np.ndarray  # of an ordinary day, (weeks, parts, accounts)
    special_days: SpecialDay  # every array (weeks, accounts)
    outcomes: ChurnOutcomes

    @property
    def world(self) -> World:
        return self.scenario.world

    @property
    def population(self) -> Population:
        return self.scenario.population

    def state(self, attribute: str) -> np.ndarray:
        """One attribute of the hidden state over time, (weeks + 1, ..., accounts)."""
        return np.stack([getattr(state, attribute) for state in self.week_states])

    def severity(self, cause: str) -> np.ndarray:
        """Severity of one cause at each week's start, (weeks, accounts)."""
        return np.stack([state.severity[CAUSE_INDEX[cause]] for state in self.week_states[:-1]])

    def pressure(self, cause: str) -> np.ndarray:
        """Pressure of one cause at each week's start, (weeks, accounts)."""
        return np.stack([state.pressure[CAUSE_INDEX[cause]] for state in self.week_states[:-1]])

    def is_active(self, account: np.ndarray, *, day: np.ndarray) -> np.ndarray:
        """Whether these accounts have a subscription on these days, or will again after a failed card."""
        return (day >= self.population.start_day[account]) & (day < self.outcomes.leaves_day[account])


def simulate_trajectories(scenario: Scenario, seeds: np.random.SeedSequence) -> Trajectories:
    """Simulate all weeks of the company. The hidden state does not depend on who left."""
    causes, policy, decisions = (np.random.default_rng(seed) for seed in seeds.spawn(3))
    month_states, week_states = _simulate_states(scenario, causes=causes, policy=policy)
    weeks = list(enumerate(week_states[:-1]))
    logit_parts = np.stack([ordinary_logit_parts(scenario, state, week=week) for week, state in weeks])
    special_days = [special_day(scenario, state, week=week) for week, state in weeks]
    decided_day = _first_event_day(_daily_hazards(scenario, logit_parts, special_days=special_days), decisions)
    stacked = _stack_weeks(special_days)
    outcomes = _churn_outcomes(scenario, stacked, decided_day=decided_day)
    return Trajectories(scenario, month_states, week_states, logit_parts, stacked, outcomes)


def at_risk_days(trajectories: Trajectories) -> np.ndarray:
    """Whether an account could decide to leave on a day: active, undecided, service not stopped, (days, accounts)."""
    world = trajectories.world
    week, day = week_by_day(world), np.arange(world.day_count)
    is_suspended = (trajectories.special_days.cutoff_probability == 1)[week] & (day > world.week_starts[week])[:, None]
    runs = start_week(trajectories.population) < week[:, None]
    return runs & (day[:, None] <= trajectories.outcomes.decided_day) & ~is_suspended


def temporary_cutoffs(trajectories: Trajectories) -> tuple[np.ndarray, np.ndarray]:
    """Accounts whose service a failed card stopped for some days, and the day it stopped: (account, day)."""
    world = trajectories.world
    runs = start_week(trajectories.population) < np.arange(world.week_count)[:, None]
    stays = trajectories.outcomes.decided_day > world.week_starts[: world.week_count, None]
    week, account = np.nonzero((trajectories.special_days.cutoff_probability == 1) & runs & stays)
    return account, world.week_starts[week]


def _simulate_states(
    scenario: Scenario, *, causes: np.random.Generator, policy: np.random.Generator
) -> tuple[tuple[HiddenState, ...], tuple[HiddenState, ...]]:
    state = initial_state(scenario.population, causes)
    month_states, week_states = [], []
    for week in range(scenario.world.week_count):
        state = reset_new_accounts(state, scenario.population, week=week)
        if week % WEEKS_PER_MONTH == 0:
            month_states.append(state)
        state = assign_plays(state, scenario.world, week=week, generator=policy)
        week_states.append(state)
        state = draw_card_failures(advance_week(state, scenario, week=week, generator=causes), causes)
    return (*month_states, state), (*week_states, state)


def _daily_hazards(scenario: Scenario, logit_parts: np.ndarray, *, special_days: list[SpecialDay]) -> np.ndarray:
    """The hazard of each account on each day; 0 before it begins, (accounts, days)."""
    hazards = [
        daily_hazard(logit, special, days=int(days))
        for logit, special, days in zip(
            logit_parts.sum(axis=1), special_days, scenario.world.week_lengths, strict=False
        )
    ]
    runs = start_week(scenario.population)[:, None] < week_by_day(scenario.world)
    return np.hstack(hazards) * runs


def _first_event_day(hazard: np.ndarray, generator: np.random.Generator) -> np.ndarray:
    is_event = generator.random(hazard.shape, dtype=np.float32) < hazard
    return np.where(is_event.any(axis=1), is_event.argmax(axis=1), NEVER)


def _stack_weeks(special_days: list[SpecialDay]) -> SpecialDay:
    names = [field.name for field in dataclasses.fields(SpecialDay)]
    return SpecialDay(**{name: np.stack([getattr(special, name) for special in special_days]) for name in names})


def _churn_outcomes(scenario: Scenario, special_days: SpecialDay, *, decided_day: np.ndarray) -> ChurnOutcomes:
    """An announced renewal decision takes effect one month later, any other decision at once."""
    world = scenario.world
    decided = decided_day < NEVER
    account = np.arange(len(decided_day))
    week = week_by_day(world)[np.where(decided, decided_day, 0)]
    on_special_day = decided & (decided_day == world.week_starts[week] + special_days.day[week, account])
    announced = on_special_day & special_days.announced[week, account]
    leaves_day = np.where(announced, effective_day(scenario, week // WEEKS_PER_MONTH), decided_day)
    failed_card = on_special_day & (special_days.cutoff_probability[week, account] == 1)
    return ChurnOutcomes(decided_day, leaves_day, failed_card)
