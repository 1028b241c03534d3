"""What really happens: the accounts live through the weeks, and some decide to leave."""

import dataclasses
from dataclasses import dataclass

import numpy as np

from features.simulator.model.calendar import WEEKS_A_MONTH, week_of_day
from features.simulator.model.churn_causes import CAUSE
from features.simulator.model.hazard import Moment, daily, moment, ordinary_parts, takes_effect
from features.simulator.model.hidden_state import State, card_drawn, founding, step, welcome
from features.simulator.model.population import Setting, start_week
from features.simulator.model.treatment_policy import policy_step

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

    setting: Setting
    snapshots: tuple[State, ...]  # at each month's start and at the end, before the policy acts
    states: tuple[State, ...]  # at each week's start, after the policy acted, and at the end
    parts: np.ndarray  # logit parts on an ordinary day, (weeks, parts, accounts)
    moments: Moment  # every array (weeks, accounts)
    fate: Fate


def live(setting: Setting, seeds: np.random.SeedSequence) -> Life:
    """Live through all weeks of the company; the hidden state does not depend on who left."""
    causes, policy, decisions = (np.random.default_rng(seed) for seed in seeds.spawn(3))
    snapshots, states = _states(setting, causes=causes, policy=policy)
    weeks = list(enumerate(states[:-1]))
    parts = np.stack([ordinary_parts(setting, state, week=week) for week, state in weeks])
    moments = [moment(setting, state, week=week) for week, state in weeks]
    decided_day = _first_hit(_hazards(setting, parts, moments=moments), decisions)
    special = _stacked(moments)
    return Life(setting, snapshots, states, parts, special, _fate(setting, special, decided_day=decided_day))


def course(life: Life, attribute: str) -> np.ndarray:
    """One array of the state over time, (weeks + 1, ..., accounts)."""
    return np.stack([getattr(state, attribute) for state in life.states])


def severities(life: Life, cause: str) -> np.ndarray:
    """Severity of one cause at each week's start, (weeks, accounts)."""
    return np.stack([state.severity[CAUSE[cause]] for state in life.states[:-1]])


def pressures(life: Life, cause: str) -> np.ndarray:
    """Pressure of one cause at each week's start, (weeks, accounts)."""
    return np.stack([state.pressure[CAUSE[cause]] for state in life.states[:-1]])


def exposed_days(life: Life) -> np.ndarray:
    """Whether an account could decide on a day: it runs, is undecided and its service is not cut, (days, accounts)."""
    world = life.setting.world
    week, day = week_of_day(world), np.arange(world.days)
    passes = (life.moments.cut == 1)[week] & (day > world.starts[week])[:, None]
    runs = start_week(life.setting.population) < week[:, None]
    return runs & (day[:, None] <= life.fate.decided_day) & ~passes


def absences(life: Life) -> tuple[np.ndarray, np.ndarray]:
    """Whose service was cut by a failed card and came back within days, and when it was cut: (account, day)."""
    world = life.setting.world
    runs = start_week(life.setting.population) < np.arange(world.weeks)[:, None]
    stays = life.fate.decided_day > world.starts[: world.weeks, None]
    week, account = np.nonzero((life.moments.cut == 1) & runs & stays)
    return account, world.starts[week]


def in_service(life: Life, account: np.ndarray, *, day: np.ndarray) -> np.ndarray:
    """Whether these accounts run on these days, short absences aside."""
    return (day >= life.setting.population.start_day[account]) & (day < life.fate.leaves_day[account])


def _states(
    setting: Setting, *, causes: np.random.Generator, policy: np.random.Generator
) -> tuple[tuple[State, ...], tuple[State, ...]]:
    state = founding(setting.population, causes)
    snapshots, states = [], []
    for week in range(setting.world.weeks):
        state = welcome(state, setting.population, week=week)
        if week % WEEKS_A_MONTH == 0:
            snapshots.append(state)
        state = policy_step(state, setting.world, week=week, generator=policy)
        states.append(state)
        state = card_drawn(step(state, setting, week=week, generator=causes), causes)
    return (*snapshots, state), (*states, state)


def _hazards(setting: Setting, parts: np.ndarray, *, moments: list[Moment]) -> np.ndarray:
    """The hazard of each account and day while it runs, (accounts, days)."""
    hazards = [
        daily(logit, special, days=int(days))
        for logit, special, days in zip(parts.sum(axis=1), moments, setting.world.lengths, strict=False)
    ]
    runs = start_week(setting.population)[:, None] < week_of_day(setting.world)
    return np.hstack(hazards) * runs


def _first_hit(hazard: np.ndarray, generator: np.random.Generator) -> np.ndarray:
    hit = generator.random(hazard.shape, dtype=np.float32) < hazard
    return np.where(hit.any(axis=1), hit.argmax(axis=1), NEVER)


def _stacked(moments: list[Moment]) -> Moment:
    names = [field.name for field in dataclasses.fields(Moment)]
    return Moment(**{name: np.stack([getattr(special, name) for special in moments]) for name in names})


def _fate(setting: Setting, special: Moment, *, decided_day: np.ndarray) -> Fate:
    """An announced renewal decision takes effect one month later, any other at once."""
    world = setting.world
    decided = decided_day < NEVER
    account = np.arange(len(decided_day))
    week = week_of_day(world)[np.where(decided, decided_day, 0)]
    on_special_day = decided & (decided_day == world.starts[week] + special.day[week, account])
    announced = on_special_day & special.announced[week, account]
    leaves_day = np.where(announced, takes_effect(setting, week // WEEKS_A_MONTH), decided_day)
    return Fate(decided_day, leaves_day, on_special_day & (special.cut[week, account] == 1))
