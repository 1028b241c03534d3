"""The true hazard of each account and day, and the true churn probability at each month's start.

Churn within a horizon of h days from a month's start t means that the subscription ends on a day d with
t <= d < t + h and no other subscription begins within the grace period. The probability is conditional on the hidden
state at t (open causes, traits, term, renewal, failed card, current play, and a departure that was decided or announced
before t, which makes it 0 or 1) and on nothing later. `Company.futures` independent Monte Carlo paths start from that
state under the same policy and shifts. Each path gives the exact probability of leaving along its causes rather than a
0 or 1, so their mean is unbiased. The Monte Carlo standard error is written next to it: with 32 paths its root mean
square is about 0.001 at 30 days, 0.005 at 90 and 0.010 at 180; the probabilities at 90 days have a spread of 0.075.
"""

from dataclasses import dataclass

import numpy as np

from features.simulator.model.calendar import HORIZONS, WEEKS_PER_MONTH, week_by_day
from features.simulator.model.churn_causes import PARTS
from features.simulator.model.hazard import effective_day, leaving_probabilities, ordinary_logit_parts, special_day
from features.simulator.model.hidden_state import HiddenState, advance_week
from features.simulator.model.population import Scenario, take_accounts
from features.simulator.model.trajectories import Trajectories, at_risk_days
from features.simulator.model.treatment_policy import assign_plays

ATTRIBUTION_DAYS = 90  # causes act with a delay, so a driver is judged by its mean effect over the coming days


@dataclass(frozen=True)
class TrueRisks:
    """True churn probabilities of the accounts that are active at a month's start."""

    account: np.ndarray
    risk: np.ndarray  # (horizons, accounts)
    standard_error: np.ndarray  # of the Monte Carlo mean
    decided: np.ndarray  # the account decided before this day, so its risks are 0 or 1
    parts_ahead: np.ndarray  # expected logit parts, mean over the next ATTRIBUTION_DAYS, (parts, accounts)


def running_accounts(trajectories: Trajectories, month: int) -> np.ndarray:
    """The indices of the accounts with a subscription at a month's start."""
    day = trajectories.world.month_starts[month]
    return np.flatnonzero((trajectories.population.start_day < day) & (trajectories.outcomes.leaves_day >= day))


def true_risks(trajectories: Trajectories, *, month: int, generator: np.random.Generator) -> TrueRisks:
    """The true churn probabilities at a month's start of the accounts that are active then."""
    account, day = running_accounts(trajectories, month), trajectories.world.month_starts[month]
    scenario = Scenario(trajectories.world, take_accounts(trajectories.population, account))
    state = take_accounts(trajectories.month_states[month], account)
    risk, standard_error, parts_ahead = _monte_carlo_risks(scenario, state, month=month, generator=generator)
    decided = trajectories.outcomes.decided_day[account] < day
    certain = trajectories.outcomes.leaves_day[account] < day + np.array(HORIZONS)[:, None]
    risk, standard_error = np.where(decided, certain, risk), np.where(decided, 0.0, standard_error)
    return TrueRisks(account, risk, standard_error, decided, parts_ahead)


def hazard_columns(trajectories: Trajectories) -> dict[str, np.ndarray]:
    """Account, day and logit parts of every day at risk, ordered by account and day."""
    account, day = np.nonzero(at_risk_days(trajectories).T)
    week = week_by_day(trajectories.world)[day]
    parts = {part: trajectories.logit_parts[week, index, account] for index, part in enumerate(PARTS)}
    is_special = trajectories.special_days.day[week, account] == day - trajectories.world.week_starts[week]
    parts["contract"] += trajectories.special_days.renewal_logit[week, account] * is_special
    parts["billing"] += trajectories.special_days.cutoff_logit[week, account] * is_special
    return {"account": account, "day": day} | parts


def logit_parts_at(trajectories: Trajectories, account: np.ndarray, *, month: int) -> np.ndarray:
    """Logit parts of an ordinary day at a month's start, or in the last week at the end, (parts, accounts)."""
    week = min(month * WEEKS_PER_MONTH, trajectories.world.week_count - 1)
    return trajectories.logit_parts[week][:, account]


def churn_day(trajectories: Trajectories) -> np.ndarray:
    """The day on which each account churned within the simulated time; NaN for the others."""
    leaves = trajectories.outcomes.leaves_day
    return np.where(leaves < trajectories.world.day_count, leaves, np.nan)


def _monte_carlo_risks(
    scenario: Scenario, state: HiddenState, *, month: int, generator: np.random.Generator
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Mean risk and standard error over the paths of undecided accounts, (horizons, accounts), and mean parts ahead."""
    futures = scenario.world.company.futures
    rows = np.repeat(np.arange(len(scenario.population)), futures)
    repeated = Scenario(scenario.world, take_accounts(scenario.population, rows))
    risk, parts_ahead = _simulate_futures(repeated, take_accounts(state, rows), month=month, generator=generator)
    risk = risk.reshape(len(HORIZONS), -1, futures)
    standard_error = risk.std(axis=2, ddof=1) / np.sqrt(futures)
    return risk.mean(axis=2), standard_error, parts_ahead.reshape(len(PARTS), -1, futures).mean(axis=2)


def _simulate_futures(
    scenario: Scenario, state: HiddenState, *, month: int, generator: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """One path per row: the probability of having left within each horizon, and the mean logit parts ahead."""
    world, week = scenario.world, month * WEEKS_PER_MONTH
    start = int(world.month_starts[month])
    size = len(scenario.population)
    survival, risk = np.ones(size), np.zeros((len(HORIZONS), size))
    parts_ahead = np.zeros((len(PARTS), size), dtype=np.float32)
    while world.week_starts[week] < start + max(HORIZONS):
        days = int(world.week_lengths[week])
        state = assign_plays(state, world, week=week, generator=generator)
        parts = ordinary_logit_parts(scenario, state, week=week)
        days_ahead = np.clip(start + ATTRIBUTION_DAYS - world.week_starts[week], 0, days)
        parts_ahead += parts * np.float32(days_ahead / ATTRIBUTION_DAYS)
        logit, special = parts.sum(axis=0), special_day(scenario, state, week=week)
        effect = effective_day(scenario, week // WEEKS_PER_MONTH)
        full_week = leaving_probabilities(logit, special, days=days)
        for index, horizon in enumerate(HORIZONS):
            days_inside = start + horizon - int(world.week_starts[week])
            if days_inside > 0:
                cut_week = days_inside < days
                at_once, later = leaving_probabilities(logit, special, days=days_inside) if cut_week else full_week
                risk[index] += survival * (at_once + later * (effect < start + horizon))
        survival = survival * (1 - full_week[0] - full_week[1])
        state = advance_week(state, scenario, week=week, generator=generator)
        week += 1
    return risk, parts_ahead
