"""What really happens: the accounts live through the weeks, and some decide to leave."""

from dataclasses import dataclass

import numpy as np

from features.simulate.hazard import Moment, daily, moment, ordinary_parts, takes_effect
from features.simulate.population import Population, start_week
from features.simulate.state import State, card_drawn, founding, policy_step, step, welcome
from features.simulate.world import WEEKS_A_MONTH, World, week_of_day

NEVER = 10**6


@dataclass(frozen=True)
class Fate:
    """How each account ends, NEVER if it does not: when it decided, and the day its subscription ends."""

    decided_day: np.ndarray
    leaves_day: np.ndarray
    failed_card: np.ndarray  # whether it left because a payment failed


@dataclass(frozen=True)
class Life:
    """The course of some accounts, week by week; the last axis of every array runs over accounts."""

    snapshots: tuple[State, ...]  # at each month's start and at the end, before the policy acts
    states: tuple[State, ...]  # at each week's start, after the policy acted, and at the end
    parts: np.ndarray  # logit parts on an ordinary day, (weeks, parts, accounts)
    moments: tuple[Moment, ...]
    fate: Fate


def live(world: World, population: Population, seeds: np.random.SeedSequence) -> Life:
    """Live through all weeks of the company; the hidden state does not depend on who left."""
    causes, policy, decisions = (np.random.default_rng(seed) for seed in seeds.spawn(3))
    snapshots, states = _states(world, population, causes=causes, policy=policy)
    weeks = list(enumerate(states[:-1]))
    parts = np.stack([ordinary_parts(world, population, state, week=week) for week, state in weeks])
    moments = tuple(moment(world, population, state, week=week) for week, state in weeks)
    hazards = (
        daily(parts[week].sum(axis=0), moments[week], int(world.lengths[week])) * (start_week(population) < week)[:, None]
        for week in range(world.weeks)
    )
    decided_day = _first_hit(np.hstack(list(hazards)), decisions)
    return Life(snapshots, states, parts, moments, _fate(world, population, moments, decided_day=decided_day))


def exposed_days(world: World, population: Population, life: Life) -> np.ndarray:
    """Whether an account could decide on a day: it runs, is undecided and its service is not cut, (days, accounts)."""
    week = week_of_day(world)
    day = np.arange(world.days)
    cut = np.stack([special.cut == 1 for special in life.moments])[week] & (day > world.starts[week])[:, None]
    return (start_week(population) < week[:, None]) & (day[:, None] <= life.fate.decided_day) & ~cut


def absent_from(world: World, population: Population, life: Life) -> tuple[np.ndarray, np.ndarray]:
    """When and whose service was cut by a failed card and came back within days: (day, account)."""
    cut = np.stack([special.cut == 1 for special in life.moments])
    ran = start_week(population) < np.arange(world.weeks)[:, None]
    stayed = life.fate.decided_day > world.starts[: world.weeks, None]
    week, account = np.nonzero(cut & ran & stayed)
    return world.starts[week], account


def in_service(population: Population, life: Life, *, day: np.ndarray, account: np.ndarray) -> np.ndarray:
    """Whether these accounts run on these days, short absences aside."""
    return (day >= population.start_day[account]) & (day < life.fate.leaves_day[account])


def severities(life: Life, cause: int) -> np.ndarray:
    """Severity of one cause at each week's start, (weeks, accounts)."""
    return np.stack([state.severity[cause] for state in life.states[:-1]])


def pressures(life: Life, cause: int) -> np.ndarray:
    """Pressure of one cause at each week's start, (weeks, accounts)."""
    return np.stack([state.pressure[cause] for state in life.states[:-1]])


def _states(
    world: World, population: Population, *, causes: np.random.Generator, policy: np.random.Generator
) -> tuple[tuple[State, ...], tuple[State, ...]]:
    state = founding(population, causes)
    snapshots, states = [], []
    for week in range(world.weeks):
        state = welcome(state, population, week)
        if week % WEEKS_A_MONTH == 0:
            snapshots.append(state)
        state = policy_step(state, world, week, generator=policy)
        states.append(state)
        state = card_drawn(step(state, population, world, week=week, generator=causes), causes)
    return (*snapshots, state), (*states, state)


def _first_hit(hazard: np.ndarray, generator: np.random.Generator) -> np.ndarray:
    hit = generator.random(hazard.shape, dtype=np.float32) < hazard
    return np.where(hit.any(axis=1), hit.argmax(axis=1), NEVER)


def _fate(world: World, population: Population, moments: tuple[Moment, ...], *, decided_day: np.ndarray) -> Fate:
    """An announced renewal decision takes effect one month later, any other at once."""
    decided = decided_day < NEVER
    week = week_of_day(world)[np.where(decided, decided_day, 0)]
    account = np.arange(len(decided_day))
    day = np.stack([special.day for special in moments])[week, account]
    special_day = decided & (decided_day == world.starts[week] + day)
    announced = special_day & np.stack([special.announced for special in moments])[week, account]
    cut = special_day & np.stack([special.cut == 1 for special in moments])[week, account]
    leaves = np.where(announced, takes_effect(world, population, week // WEEKS_A_MONTH), decided_day)
    return Fate(decided_day, leaves, cut)
