"""Performance before labels: what the log loss, the AUC and the churn of open risks will be, if their risks are right.

A calibrated risk says how its own answer will fall, so the risks alone give the expected log loss, AUC and departures
(confidence-based performance estimation: NannyML). That says as much as the risks are worth: a changed cause does not
show in it. So what a champion cannot know of its own level and spread widens the intervals, early departures move the
level, and the estimate is void once outcomes or a broken source contradict it.

Early departures, within the days of a cohort, say by which factor the cumulative hazard, -log(1 - risk), is off. It is
taken for the main horizon alike, and has a log-normal prior of mean 1, as wide as the doubt about the level.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

import numpy as np
from scipy.special import expit, logit

from monitoring.outcomes.bets import RISK_LIMIT, Doubt, FloatArray

DRAWS, SEED = 1_000, 23
OUTCOMES_PER_BLOCK = 4_000_000
INTERVAL = 0.95
GRID = np.linspace(-4.0, 4.0, 161)  # standard deviations of the prior


@dataclass(frozen=True)
class Estimate:
    """A figure with the interval in which its realised value lies in 95 of 100 cases."""

    value: float
    low: float
    high: float


@dataclass(frozen=True)
class EarlyOutcomes:
    """The risks of leaving within the first days, and how many left: accounts without a play, of known outcome."""

    risks: FloatArray
    left: float


NOTHING_EARLY = EarlyOutcomes(np.empty(0), 0.0)


@dataclass(frozen=True)
class PerformanceEstimate:
    """The expected performance of the newest open risk of each account, as if no play changed what happens.

    `auc` is None for fewer than two accounts. `early_left` and `early_expected` are the departures in the first days of
    open risks, `early_factor` what they make of the hazard. `void_since` is the day from which on the estimate is
    contradicted, by what `void_because` says; both are empty if nothing contradicts it.
    """

    accounts: int
    churned: Estimate
    log_loss: Estimate
    auc: Estimate | None
    early_left: float
    early_expected: float
    early_factor: float
    void_since: datetime | None = None
    void_because: str = ""

    def figures(self) -> Mapping[str, float]:
        """The figures by name, with the bounds of their intervals."""
        estimates = {"churned": self.churned, "log_loss": self.log_loss, "auc": self.auc}
        defined = {name: estimate for name, estimate in estimates.items() if estimate is not None}
        values = {f"estimated_{name}": estimate.value for name, estimate in defined.items()}
        lows = {f"estimated_{name}_low": estimate.low for name, estimate in defined.items()}
        highs = {f"estimated_{name}_high": estimate.high for name, estimate in defined.items()}
        counts = {"estimated_accounts": float(self.accounts), "estimate_void": float(self.void_since is not None)}
        return {**values, **lows, **highs, **counts, "early_factor": self.early_factor}


def estimate_performance(risks: FloatArray, doubt: Doubt, early: EarlyOutcomes) -> PerformanceEstimate | None:
    """The expected performance of risks whose answers are open; None without any."""
    if not len(risks):
        return None
    shown = np.clip(risks, RISK_LIMIT, 1 - RISK_LIMIT)
    factors, weights = level_posterior(doubt.level_sd, early)
    factor = float(factors @ weights)
    expected = scale_hazard(shown, factor)
    churned, losses, aucs = _simulate(shown, doubt, (factors, weights))
    auc = expected_auc(shown, expected)
    return PerformanceEstimate(
        accounts=len(risks),
        churned=_with_interval(float(expected.sum()), churned),
        log_loss=_with_interval(expected_log_loss(shown, expected), losses),
        auc=None if auc is None else _with_interval(auc, aucs),
        early_left=early.left,
        early_expected=float(early.risks.sum()),
        early_factor=factor,
    )


def expected_log_loss(risks: FloatArray, probabilities: FloatArray) -> float:
    """The mean log loss of risks whose accounts leave with these probabilities.

    >>> round(expected_log_loss(np.array([0.5, 0.5]), np.array([0.5, 0.9])), 4)
    0.6931
    """
    return float(-np.mean(probabilities * np.log(risks) + (1 - probabilities) * np.log1p(-risks)))


def expected_auc(risks: FloatArray, probabilities: FloatArray) -> float | None:
    """The chance that of an account that leaves and another that stays the first has the higher risk; ties by half.

    The sum of p_i (1 - p_j) over pairs that are in order, over that of all pairs of two accounts. None for fewer than
    two.

    >>> round(expected_auc(np.array([0.2, 0.6]), np.array([0.2, 0.6])), 4)
    0.8571
    """
    if len(risks) < 2:
        return None
    levels, group = np.unique(risks, return_inverse=True)
    leave = np.bincount(group, probabilities, len(levels))
    stay = np.bincount(group, 1 - probabilities, len(levels))
    own = np.bincount(group, probabilities * (1 - probabilities), len(levels))  # an account and itself are no pair
    below = np.cumsum(stay) - stay
    ordered = float((leave * below).sum() + ((leave * stay - own) / 2).sum())
    return ordered / float(leave.sum() * stay.sum() - own.sum())


def scale_hazard(risks: FloatArray, factor: float | FloatArray) -> FloatArray:
    """The risks if the hazard is so many times as high.

    >>> scale_hazard(np.array([0.19]), 0.5).round(3).tolist()
    [0.1]
    """
    return -np.expm1(factor * np.log1p(-risks))


def level_posterior(level_sd: float, early: EarlyOutcomes) -> tuple[FloatArray, FloatArray]:
    """Factors of the hazard and their probabilities, after early departures; the prior has the mean 1."""
    factors = np.exp(level_sd * GRID - level_sd**2 / 2)
    hazard = float(-np.log1p(-np.clip(early.risks, 0, 1 - RISK_LIMIT)).sum())
    # The departures count as Poisson: early risks are small.
    log_weights = -(GRID**2) / 2 + early.left * np.log(factors) - factors * hazard
    weights = np.exp(log_weights - log_weights.max())
    return factors, weights / weights.sum()


def _simulate(
    risks: FloatArray, doubt: Doubt, level: tuple[FloatArray, FloatArray]
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """The churn, log loss and AUC of simulated outcomes; NaN for the AUC of outcomes that are all alike."""
    generator = np.random.default_rng(SEED)
    log_odds = logit(risks)
    centred = log_odds - np.average(log_odds, weights=risks)
    variance = float(np.average(centred**2, weights=risks))
    spread_sd = doubt.weight_sd(variance) if variance > 0 else 0.0
    order = np.argsort(risks, kind="stable")
    ranks = _mid_ranks(risks[order])
    blocks: list[FloatArray] = []
    for draws in _block_sizes(len(risks)):
        factors = generator.choice(level[0], size=(draws, 1), p=level[1])
        spread = generator.normal(0.0, spread_sd, size=(draws, 1))
        probabilities = scale_hazard(expit(log_odds[order] + spread * centred[order]), factors)
        left = generator.random(probabilities.shape) < probabilities
        blocks.append(_measure(left, log_odds[order], ranks))
    churned, slopes, aucs = np.concatenate(blocks, axis=1)
    return churned, (slopes - np.log1p(-risks).sum()) / len(risks), aucs


def _measure(left: np.ndarray, log_odds: FloatArray, ranks: FloatArray) -> FloatArray:
    """The churn, the part of the log loss that depends on outcomes, and the AUC of each row of outcomes."""
    churned = left.sum(axis=1).astype("float64")
    pairs = churned * (left.shape[1] - churned)
    wins = left @ ranks - churned * (churned + 1) / 2
    aucs = np.divide(wins, pairs, out=np.full(len(pairs), np.nan), where=pairs > 0)
    return np.array([churned, -(left @ log_odds), aucs])


def _block_sizes(accounts: int) -> list[int]:
    size = max(1, OUTCOMES_PER_BLOCK // accounts)
    return [min(size, DRAWS - start) for start in range(0, DRAWS, size)]


def _mid_ranks(ordered: FloatArray) -> FloatArray:
    first, last = np.searchsorted(ordered, ordered, "left"), np.searchsorted(ordered, ordered, "right")
    return (first + last + 1) / 2.0


def _with_interval(value: float, simulated: FloatArray) -> Estimate:
    defined = simulated[~np.isnan(simulated)]
    tail = (1 - INTERVAL) / 2
    low, high = np.quantile(defined, [tail, 1 - tail]) if len(defined) else (value, value)
    return Estimate(value, float(low), float(high))
