"""The truth: the hazard of each account and day, and the probability of churn seen from each month's start.

Churn within a horizon of h days from a month's start t means that the subscription ends on a day d with
t <= d < t + h and no other begins within the grace. Its probability is taken over everything still open at t: it knows
the hidden state at t (open causes, traits, term, renewal, failed card, running play, a leaving decided or announced
before t, which makes it 0 or 1) and nothing later. `Company.futures` independent futures start from that state
under the same policy and shifts; each yields the exact probability of leaving along its path of causes, not a 0 or
1, and their mean is unbiased. Its Monte Carlo standard error is written next to it: with 32 futures about
0.005 in the root mean square at 90 days.
"""

from dataclasses import dataclass

import numpy as np

from features.simulate.causes import PARTS
from features.simulate.hazard import leaving, moment, ordinary_parts, takes_effect
from features.simulate.life import Life, exposed_days
from features.simulate.population import Population, rows_of
from features.simulate.state import State, policy_step, step
from features.simulate.world import HORIZONS, WEEKS_A_MONTH, World, week_of_day


@dataclass(frozen=True)
class Risks:
    """True probabilities of churn by account and horizon, (horizons, accounts), and their standard errors."""

    account: np.ndarray
    risk: np.ndarray
    error: np.ndarray
    decided: np.ndarray  # whether the leaving was decided before, so that the probabilities are 0 or 1


def running(world: World, population: Population, life: Life, *, month: int) -> np.ndarray:
    """The accounts with a subscription at a month's start."""
    day = world.months[month]
    return np.flatnonzero((population.start_day < day) & (life.fate.leaves_day >= day))


def risks(world: World, population: Population, life: Life, *, month: int, generator: np.random.Generator) -> Risks:
    """The true probabilities of churn, seen from a month's start, of the accounts then running."""
    account = running(world, population, life, month=month)
    state = rows_of(life.snapshots[month], account)
    risk, error = open_risks(world, rows_of(population, account), state, month=month, generator=generator)
    decided = life.fate.decided_day[account] < world.months[month]
    certain = life.fate.leaves_day[account] < world.months[month] + np.array(HORIZONS)[:, None]
    return Risks(account, np.where(decided, certain, risk), np.where(decided, 0.0, error), decided)


def open_risks(
    world: World, population: Population, state: State, *, month: int, generator: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Mean and standard error over futures for accounts that have not decided yet, each (horizons, accounts)."""
    futures = world.company.futures
    rows = np.repeat(np.arange(len(population.number)), futures)
    left = _futures(world, rows_of(population, rows), rows_of(state, rows), month=month, generator=generator)
    left = left.reshape(len(HORIZONS), -1, futures)
    return left.mean(axis=2), left.std(axis=2, ddof=1) / np.sqrt(futures)


def hazard_columns(world: World, population: Population, life: Life) -> dict[str, np.ndarray]:
    """Account, day, and the logit parts on each day an account could decide, by account and then by day."""
    exposed = exposed_days(world, population, life).T
    account, day = np.nonzero(exposed)
    week = week_of_day(world)[day]
    parts = {part: life.parts[week, index, account] for index, part in enumerate(PARTS)}
    is_special = np.stack([special.day for special in life.moments])[week, account] == day - world.starts[week]
    for part in ("contract", "billing"):
        added = np.stack([getattr(special, part) for special in life.moments])[week, account]
        parts[part] = parts[part] + added * is_special
    return {"account": account, "day": day} | parts


def parts_at(world: World, life: Life, *, month: int, account: np.ndarray) -> np.ndarray:
    """Logit parts on an ordinary day at a month's start, (parts, accounts); at the very end those of the last week."""
    week = min(month * WEEKS_A_MONTH, world.weeks - 1)
    return life.parts[week][:, account]


def churned_day(world: World, life: Life) -> np.ndarray:
    """The day of churn inside the simulated time, NaN for the others."""
    leaves = life.fate.leaves_day
    return np.where(leaves < world.days, leaves, np.nan)


def _futures(
    world: World, population: Population, state: State, *, month: int, generator: np.random.Generator
) -> np.ndarray:
    """Probability of having left within each horizon along one future per row, (horizons, rows)."""
    start, week = int(world.months[month]), month * WEEKS_A_MONTH
    stays = np.ones(len(population.number))
    left = np.zeros((len(HORIZONS), len(stays)))
    while world.starts[week] < start + max(HORIZONS):
        state = policy_step(state, world, week, generator=generator)
        logit = ordinary_parts(world, population, state, week=week).sum(axis=0)
        special = moment(world, population, state, week=week)
        effect = takes_effect(world, population, week // WEEKS_A_MONTH)
        whole = leaving(logit, special, int(world.lengths[week]))
        for index, horizon in enumerate(HORIZONS):
            days = start + horizon - int(world.starts[week])
            if days > 0:
                at_once, later = whole if days >= world.lengths[week] else leaving(logit, special, days)
                left[index] += stays * (at_once + later * (effect < start + horizon))
        stays = stays * (1 - whole[0] - whole[1])
        state = step(state, population, world, week=week, generator=generator)
        week += 1
    return left


