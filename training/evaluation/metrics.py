"""Metrics: how well risks rank, how well they are calibrated and what they catch, over many weightings at once.

Every metric reads `WeightedCounts`, the churned and stayed weight at each distinct risk, and gives one value per
weighting. Equal risks share one step, so no metric depends on the order of rows.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.optimize import isotonic_regression
from scipy.special import expit, logit

from training.calibration.calibrator import PROBABILITY_EPSILON

MAX_ITERATIONS, MAX_STEP, TOLERANCE = 30, 2.0, 1e-6


@dataclass(frozen=True)
class WeightedCounts:
    """Weights at each distinct risk, highest risk first: `risks` (steps,), the others (weightings, steps).

    `revenue` is the recurring revenue of the churned; 0 if it is unknown.
    """

    risks: np.ndarray
    churned: np.ndarray
    stayed: np.ndarray
    revenue: np.ndarray

    @property
    def total(self) -> np.ndarray:
        return self.churned + self.stayed


def count_by_risk(
    churned: np.ndarray, risks: np.ndarray, weights: np.ndarray | None = None, revenue: np.ndarray | None = None
) -> WeightedCounts:
    """The counts under each row of `weights` (weightings, snapshots); without weights each snapshot counts once."""
    order = np.argsort(-risks, kind="stable")
    ranked, is_churned = risks[order], churned[order]
    starts = np.flatnonzero(np.r_[True, ranked[1:] != ranked[:-1]])
    ordered = np.ones((1, len(risks))) if weights is None else weights[:, order]
    lost = is_churned * (0.0 if revenue is None else np.nan_to_num(revenue)[order])
    return WeightedCounts(
        risks=ranked[starts],
        churned=np.add.reduceat(ordered * is_churned, starts, axis=1),
        stayed=np.add.reduceat(ordered * (1 - is_churned), starts, axis=1),
        revenue=np.add.reduceat(ordered * lost, starts, axis=1),
    )


def count_by_group(
    churned: np.ndarray, risks: np.ndarray, masks: Sequence[np.ndarray], weights: np.ndarray | None = None
) -> list[WeightedCounts]:
    """The counts within each group of snapshots."""
    return [count_by_risk(churned[m], risks[m], None if weights is None else weights[:, m]) for m in masks]


def auc(*counts_by_day: WeightedCounts) -> np.ndarray:
    """Share of pairs of a churned and a stayed snapshot in which the churned has the higher risk; ties count half.

    Only snapshots of one day are paired: the risks of two days may come from two calibrations, or two levels of churn,
    and nobody chooses between accounts of different days.
    """
    concordant = [(counts.churned * _stayed_below(counts)).sum(axis=1) for counts in counts_by_day]
    pairs = [counts.churned.sum(axis=1) * counts.stayed.sum(axis=1) for counts in counts_by_day]
    return _divide(np.sum(concordant, axis=0), np.sum(pairs, axis=0))


def average_precision(counts: WeightedCounts) -> np.ndarray:
    """Precision averaged over the churned, each at its own risk."""
    precision = _divide(counts.churned.cumsum(axis=1), counts.total.cumsum(axis=1))
    return _divide(np.nansum(counts.churned * precision, axis=1), counts.churned.sum(axis=1))


def lift(counts: WeightedCounts, share: float) -> np.ndarray:
    """Churn rate among the `share` with the highest risks over the overall rate, in expectation over the order of ties.

    Equal risks at the edge count in proportion, so a constant risk has a lift of exactly 1.
    """
    caught = _caught(counts, counts.churned, share * counts.total.sum(axis=1))
    return _divide(caught, share * counts.churned.sum(axis=1))


def precision_at(counts: WeightedCounts, capacity: float) -> np.ndarray:
    """Churn rate among the `capacity` snapshots with the highest risks."""
    called = np.minimum(capacity, counts.total.sum(axis=1))
    return _divide(_caught(counts, counts.churned, called), called)


def revenue_at(counts: WeightedCounts, capacity: float) -> np.ndarray:
    """Share of the recurring revenue of the churned that the `capacity` snapshots with the highest risks hold."""
    called = np.minimum(capacity, counts.total.sum(axis=1))
    return _divide(_caught(counts, counts.revenue, called), counts.revenue.sum(axis=1))


def log_loss(counts: WeightedCounts) -> np.ndarray:
    """Mean negative log-likelihood of the labels, in nats."""
    risks = _clip(counts.risks)
    return -(counts.churned @ np.log(risks) + counts.stayed @ np.log1p(-risks)) / counts.total.sum(axis=1)


def brier(counts: WeightedCounts) -> np.ndarray:
    """Mean squared difference between risk and label (Brier, 1950)."""
    return _mean_squared_error(counts, np.broadcast_to(counts.risks, counts.total.shape))


def brier_decomposition(counts: WeightedCounts) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Reliability, resolution and uncertainty: brier = reliability - resolution + uncertainty (Murphy, 1973).

    The rates that risks are compared with come from isotonic regression instead of bins, which makes the sum exact
    (Dimitriadis, Gneiting & Jordan, 2021).
    """
    recalibrated = np.vstack([_isotonic_rates(*row) for row in zip(counts.churned, counts.total, strict=True)])
    rate = (counts.churned.sum(axis=1) / counts.total.sum(axis=1))[:, None]
    best = _mean_squared_error(counts, recalibrated)
    uncertainty = _mean_squared_error(counts, np.broadcast_to(rate, counts.total.shape))
    return brier(counts) - best, uncertainty - best, uncertainty


def calibration_intercept(counts: WeightedCounts) -> np.ndarray:
    """Log-odds by which the risks are too low overall (0 is right), with the slope fixed at 1 (Cox, 1958)."""
    log_odds = logit(_clip(counts.risks))
    return _fit_logistic(counts, log_odds, np.ones((1, len(log_odds))))[:, 0]


def calibration_slope(counts: WeightedCounts) -> np.ndarray:
    """Slope of the labels on the log-odds of the risks: 1 is right, below 1 the risks are too extreme (Cox, 1958).

    NaN if all risks are equal.
    """
    log_odds = logit(_clip(counts.risks))
    if len(log_odds) < 2:
        return np.full(len(counts.total), np.nan)
    # Fitted as a change from the risks as they are, so that the search starts close to the solution.
    return 1 + _fit_logistic(counts, log_odds, np.vstack([np.ones(len(log_odds)), log_odds]))[:, 1]


def calibration_error(counts: WeightedCounts, groups: int = 10) -> np.ndarray:
    """Mean difference between risk and churn rate over groups of equal weight and rising risk; 0 is right.

    Sampling noise alone keeps it above 0, so compare it with that of other risks on the same snapshots.
    """
    middle = counts.total.cumsum(axis=1) - counts.total / 2
    group = np.minimum((middle / counts.total.sum(axis=1)[:, None] * groups).astype(int), groups - 1)
    excess = counts.churned - counts.total * counts.risks
    differences = [np.abs(np.where(group == number, excess, 0.0).sum(axis=1)) for number in range(groups)]
    return sum(differences, np.zeros(len(excess))) / counts.total.sum(axis=1)


def _clip(risks: np.ndarray) -> np.ndarray:
    return np.clip(risks, PROBABILITY_EPSILON, 1 - PROBABILITY_EPSILON)


def _stayed_below(counts: WeightedCounts) -> np.ndarray:
    return counts.stayed[:, ::-1].cumsum(axis=1)[:, ::-1] - counts.stayed / 2


def _divide(numerator: np.ndarray, denominator: np.ndarray) -> np.ndarray:
    """A quotient, NaN if the denominator is 0."""
    return np.divide(numerator, denominator, out=np.full(np.shape(denominator), np.nan), where=denominator != 0)


def _caught(counts: WeightedCounts, amount: np.ndarray, called: np.ndarray) -> np.ndarray:
    """How much of `amount` lies in the `called` weight with the highest risks, the step at the edge in proportion."""
    reached, total = counts.total.cumsum(axis=1), amount.cumsum(axis=1)
    edge = np.minimum((reached < called[:, None]).sum(axis=1), len(counts.risks) - 1)
    rows = np.arange(len(called))
    before, inside = reached[rows, edge] - counts.total[rows, edge], amount[rows, edge]
    share = np.clip(_divide(called - before, counts.total[rows, edge]), 0, 1)
    return total[rows, edge] - inside + share * inside


def _mean_squared_error(counts: WeightedCounts, risks: np.ndarray) -> np.ndarray:
    return (counts.churned * (1 - risks) ** 2 + counts.stayed * risks**2).sum(axis=1) / counts.total.sum(axis=1)


def _isotonic_rates(churned: np.ndarray, total: np.ndarray) -> np.ndarray:
    """The maximum-likelihood churn rates that fall with the risk; 0 at steps without weight."""
    has_weight = total > 0
    rates = np.zeros(len(total))
    weights = total[has_weight]
    rates[has_weight] = isotonic_regression(churned[has_weight] / weights, weights=weights, increasing=False).x
    return rates


def _fit_logistic(counts: WeightedCounts, offset: np.ndarray, columns: np.ndarray) -> np.ndarray:
    """Coefficients of a logistic regression per weighting by Newton's method; `columns` is (coefficients, steps)."""
    coefficients, products = np.zeros((len(counts.total), len(columns))), columns[:, None] * columns[None, :]
    for _ in range(MAX_ITERATIONS):
        rates = expit(offset + coefficients @ columns)
        gradient = (counts.churned - counts.total * rates) @ columns.T
        hessian = np.moveaxis((counts.total * rates * (1 - rates)) @ np.moveaxis(products, -1, 1), 0, 1)
        ridge = PROBABILITY_EPSILON * np.eye(len(columns))
        step = np.linalg.solve(hessian + ridge, gradient[:, :, None])[:, :, 0]
        step = np.clip(step, -MAX_STEP, MAX_STEP)
        coefficients = coefficients + step
        if np.abs(step).max() < TOLERANCE:
            break
    return coefficients
