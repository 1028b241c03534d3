"""The truth: the hazard of each account and day, and the probability of churn seen from each month's start.

Churn within a horizon of h days from a month's start t means that the subscription ends on a day d with
t <= d < t + h and no other begins within the grace. Its probability is taken over everything still open at t: it knows
the hidden state at t (open causes, traits, term, renewal, failed card, running play, a leaving decided or announced
before t, which makes it 0 or 1) and nothing later. `Company.futures` independent futures start from that state
under the same policy and shifts; each yields the exact probability of leaving along its path of causes, not a 0 or
1, and their mean is unbiased. Its Monte Carlo standard error is written next to it: with 32 futures the root mean
square is about 0.001 at 30 days, 0.005 at 90 and 0.010 at 180, of probabilities that spread by 0.075 at 90 days.
"""

from dataclasses import dataclass

import numpy as np

from features.simulator.model.calendar import HORIZONS, WEEKS_A_MONTH, week_of_day
from features.simulator.model.churn_causes import PARTS
from features.simulator.model.hazard import leaving, moment, ordinary_parts, takes_effect
from features.simulator.model.hidden_state import State, step
from features.simulator.model.population import Setting, rows_of
from features.simulator.model.trajectories import Life, exposed_days
from features.simulator.model.treatment_policy import policy_step

BLAMED_DAYS = 90  # causes act late: what is to blame is what the hazard will feel, not what it feels on the day


@dataclass(frozen=True)
class Risks:
    """True probabilities of churn of the accounts running at a month's start."""

    account: np.ndarray
    risk: np.ndarray  # (horizons, accounts)
    error: np.ndarray  # Monte Carlo standard error of it
    decided: np.ndarray  # whether the leaving was decided before, so that the probabilities are 0 or 1
    ahead: np.ndarray  # expected logit parts of ordinary days on average of the next BLAMED_DAYS, (parts, accounts)


def running(life: Life, month: int) -> np.ndarray:
    """The accounts with a subscription at a month's start."""
    day = life.setting.world.months[month]
    return np.flatnonzero((life.setting.population.start_day < day) & (life.fate.leaves_day >= day))


def risks(life: Life, *, month: int, generator: np.random.Generator) -> Risks:
    """The true probabilities of churn, seen from a month's start, of the accounts then running."""
    account, day = running(life, month), life.setting.world.months[month]
    setting = Setting(life.setting.world, rows_of(life.setting.population, account))
    state = rows_of(life.snapshots[month], account)
    risk, error, ahead = _open_risks(setting, state, month=month, generator=generator)
    decided = life.fate.decided_day[account] < day
    certain = life.fate.leaves_day[account] < day + np.array(HORIZONS)[:, None]
    return Risks(account, np.where(decided, certain, risk), np.where(decided, 0.0, error), decided, ahead)


def hazard_columns(life: Life) -> dict[str, np.ndarray]:
    """Account, day, and the logit parts on each day an account could decide, by account and then by day."""
    account, day = np.nonzero(exposed_days(life).T)
    week = week_of_day(life.setting.world)[day]
    parts = {part: life.parts[week, index, account] for index, part in enumerate(PARTS)}
    is_special = life.moments.day[week, account] == day - life.setting.world.starts[week]
    parts["contract"] += life.moments.contract[week, account] * is_special
    parts["billing"] += life.moments.billing[week, account] * is_special
    return {"account": account, "day": day} | parts


def parts_at(life: Life, account: np.ndarray, *, month: int) -> np.ndarray:
    """Logit parts on an ordinary day at a month's start, (parts, accounts); at the very end those of the last week."""
    week = min(month * WEEKS_A_MONTH, life.setting.world.weeks - 1)
    return life.parts[week][:, account]


def churned_day(life: Life) -> np.ndarray:
    """The day of churn inside the simulated time, NaN for the others."""
    leaves = life.fate.leaves_day
    return np.where(leaves < life.setting.world.days, leaves, np.nan)


def _open_risks(
    setting: Setting, state: State, *, month: int, generator: np.random.Generator
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Mean and standard error over futures as if nobody had decided yet, (horizons, accounts), and the parts ahead."""
    futures = setting.world.company.futures
    rows = np.repeat(np.arange(len(setting.population.number)), futures)
    repeated = Setting(setting.world, rows_of(setting.population, rows))
    left, ahead = _futures(repeated, rows_of(state, rows), month=month, generator=generator)
    left = left.reshape(len(HORIZONS), -1, futures)
    error = left.std(axis=2, ddof=1) / np.sqrt(futures)
    return left.mean(axis=2), error, ahead.reshape(len(PARTS), -1, futures).mean(axis=2)


def _futures(
    setting: Setting, state: State, *, month: int, generator: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Along one future per row: probability of having left within each horizon, and mean logit parts ahead."""
    world, week = setting.world, month * WEEKS_A_MONTH
    start = int(world.months[month])
    size = len(setting.population.number)
    stays, left = np.ones(size), np.zeros((len(HORIZONS), size))
    ahead = np.zeros((len(PARTS), size), dtype=np.float32)
    while world.starts[week] < start + max(HORIZONS):
        days = int(world.lengths[week])
        state = policy_step(state, world, week=week, generator=generator)
        parts = ordinary_parts(setting, state, week=week)
        ahead += parts * np.float32(np.clip(start + BLAMED_DAYS - world.starts[week], 0, days) / BLAMED_DAYS)
        logit, special = parts.sum(axis=0), moment(setting, state, week=week)
        effect = takes_effect(setting, week // WEEKS_A_MONTH)
        whole = leaving(logit, special, days=days)
        for index, horizon in enumerate(HORIZONS):
            inside = start + horizon - int(world.starts[week])
            if inside > 0:
                at_once, later = whole if inside >= days else leaving(logit, special, days=inside)
                left[index] += stays * (at_once + later * (effect < start + horizon))
        stays = stays * (1 - whole[0] - whole[1])
        state = step(state, setting, week=week, generator=generator)
        week += 1
    return left, ahead
