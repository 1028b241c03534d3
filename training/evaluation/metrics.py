"""Metrics: how risks rank, how true they are and what they catch, each over many weightings at once.

Every metric reads a `Tally`, the churned and stayed weight at each distinct risk, and gives a figure per weighting.
Equal risks are one step of the tally, so no figure depends on the order of rows.
"""

from dataclasses import dataclass

import numpy as np
from scipy.optimize import isotonic_regression
from scipy.special import expit, logit

from training.model.calibrator import CERTAIN

MOST_STEPS, FARTHEST_STEP, CLOSE_ENOUGH = 30, 2.0, 1e-6


@dataclass(frozen=True)
class Tally:
    """Weights at each distinct risk, riskiest first: `risks` (steps,), the others (weightings, steps).

    `revenue` is the recurring revenue of the churned; zero throughout where it is not known.
    """

    risks: np.ndarray
    churned: np.ndarray
    stayed: np.ndarray
    revenue: np.ndarray

    @property
    def weight(self) -> np.ndarray:
        return self.churned + self.stayed


def tally(
    churned: np.ndarray, risks: np.ndarray, weights: np.ndarray | None = None, revenue: np.ndarray | None = None
) -> Tally:
    """The tally of snapshots under each row of `weights` (weightings, snapshots); each counts once where left out."""
    order = np.argsort(-risks, kind="stable")
    ranked, left = risks[order], churned[order]
    starts = np.flatnonzero(np.r_[True, ranked[1:] != ranked[:-1]])
    weighed = np.ones((1, len(risks))) if weights is None else weights[:, order]
    lost = left * (0.0 if revenue is None else np.nan_to_num(revenue)[order])
    return Tally(
        risks=ranked[starts],
        churned=np.add.reduceat(weighed * left, starts, axis=1),
        stayed=np.add.reduceat(weighed * (1 - left), starts, axis=1),
        revenue=np.add.reduceat(weighed * lost, starts, axis=1),
    )


def auc(t: Tally) -> np.ndarray:
    """Share of pairs of a churned and a stayed snapshot in which the churned has the higher risk; ties count half."""
    below = t.stayed[:, ::-1].cumsum(axis=1)[:, ::-1] - t.stayed / 2
    return _over((t.churned * below).sum(axis=1), t.churned.sum(axis=1) * t.stayed.sum(axis=1))


def average_precision(t: Tally) -> np.ndarray:
    """Precision averaged over the churned, each at its own risk."""
    precision = _over(t.churned.cumsum(axis=1), t.weight.cumsum(axis=1))
    return _over(np.nansum(t.churned * precision, axis=1), t.churned.sum(axis=1))


def lift(t: Tally, share: float) -> np.ndarray:
    """Churn rate among the `share` riskiest over the overall rate, in expectation over the order of equal risks.

    Equal risks at the edge count in proportion, so a constant risk has a lift of exactly 1.
    """
    return _over(_caught(t, t.churned, share * t.weight.sum(axis=1)), share * t.churned.sum(axis=1))


def precision_at(t: Tally, capacity: float) -> np.ndarray:
    """Churn rate among the `capacity` riskiest."""
    called = np.minimum(capacity, t.weight.sum(axis=1))
    return _over(_caught(t, t.churned, called), called)


def revenue_at(t: Tally, capacity: float) -> np.ndarray:
    """Share of the recurring revenue of the churned that is held by the `capacity` riskiest."""
    called = np.minimum(capacity, t.weight.sum(axis=1))
    return _over(_caught(t, t.revenue, called), t.revenue.sum(axis=1))


def log_loss(t: Tally) -> np.ndarray:
    """Mean surprise at the answers, in nats."""
    sure = np.clip(t.risks, CERTAIN, 1 - CERTAIN)
    return -(t.churned @ np.log(sure) + t.stayed @ np.log1p(-sure)) / t.weight.sum(axis=1)


def brier(t: Tally) -> np.ndarray:
    """Mean squared distance of risk and answer (Brier, 1950)."""
    return _squared(t, np.broadcast_to(t.risks, t.weight.shape))


def brier_parts(t: Tally) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Reliability, resolution and uncertainty: brier = reliability - resolution + uncertainty (Murphy, 1973).

    The rates that risks are held against come from isotonic regression rather than from bins, which makes the sum exact
    (Dimitriadis, Gneiting & Jordan, 2021).
    """
    best = np.vstack([_isotonic(*row) for row in zip(t.churned, t.weight, strict=True)])
    rate = (t.churned.sum(axis=1) / t.weight.sum(axis=1))[:, None]
    achieved, uncertainty = _squared(t, best), _squared(t, np.broadcast_to(rate, t.weight.shape))
    return brier(t) - achieved, uncertainty - achieved, uncertainty


def calibration_intercept(t: Tally) -> np.ndarray:
    """Log-odds by which the risks are too low throughout (0 is right), the slope held at 1 (Cox, 1958)."""
    margins = logit(np.clip(t.risks, CERTAIN, 1 - CERTAIN))
    return _logistic(t, margins, np.ones((1, len(margins))))[:, 0]


def calibration_slope(t: Tally) -> np.ndarray:
    """Slope of the answers on the log-odds of the risks: 1 is right, below 1 they spread too far (Cox, 1958).

    NaN where all risks are equal.
    """
    margins = logit(np.clip(t.risks, CERTAIN, 1 - CERTAIN))
    if len(margins) < 2:
        return np.full(len(t.weight), np.nan)
    # Measured from the risks as they are, where the search is nearly done before it starts.
    return 1 + _logistic(t, margins, np.vstack([np.ones(len(margins)), margins]))[:, 1]


def calibration_error(t: Tally, groups: int = 10) -> np.ndarray:
    """Mean distance of risk and churn rate over groups of equal weight and rising risk; 0 is right.

    Chance alone keeps it above 0: to be read against that of other risks on the same snapshots.
    """
    middle = t.weight.cumsum(axis=1) - t.weight / 2
    group = np.minimum((middle / t.weight.sum(axis=1)[:, None] * groups).astype(int), groups - 1)
    distance = t.churned - t.weight * t.risks
    apart = [np.abs(np.where(group == one, distance, 0.0).sum(axis=1)) for one in range(groups)]
    return sum(apart) / t.weight.sum(axis=1)


def _over(part: np.ndarray, whole: np.ndarray) -> np.ndarray:
    """A quotient, NaN where there is nothing to divide by."""
    return np.divide(part, whole, out=np.full(np.shape(whole), np.nan), where=whole != 0)


def _caught(t: Tally, amount: np.ndarray, wanted: np.ndarray) -> np.ndarray:
    """How much of `amount` lies in the riskiest `wanted` weight, steps at the edge taken in proportion."""
    reached, total = t.weight.cumsum(axis=1), amount.cumsum(axis=1)
    edge = np.minimum((reached < wanted[:, None]).sum(axis=1), len(t.risks) - 1)
    rows = np.arange(len(wanted))
    before, inside = reached[rows, edge] - t.weight[rows, edge], amount[rows, edge]
    share = np.clip(_over(wanted - before, t.weight[rows, edge]), 0, 1)
    return total[rows, edge] - inside + share * inside


def _squared(t: Tally, risks: np.ndarray) -> np.ndarray:
    return (t.churned * (1 - risks) ** 2 + t.stayed * risks**2).sum(axis=1) / t.weight.sum(axis=1)


def _isotonic(churned: np.ndarray, weight: np.ndarray) -> np.ndarray:
    """The churn rates of greatest likelihood that fall with the risk; 0 where nothing was drawn."""
    drawn = weight > 0
    rates = np.zeros(len(weight))
    rates[drawn] = isotonic_regression(churned[drawn] / weight[drawn], weights=weight[drawn], increasing=False).x
    return rates


def _logistic(t: Tally, offset: np.ndarray, columns: np.ndarray) -> np.ndarray:
    """Coefficients of a logistic regression per weighting by Newton's method; `columns` is (coefficients, steps)."""
    found, products = np.zeros((len(t.weight), len(columns))), columns[:, None] * columns[None, :]
    for _ in range(MOST_STEPS):
        rates = expit(offset + found @ columns)
        slope = (t.churned - t.weight * rates) @ columns.T
        curve = np.moveaxis((t.weight * rates * (1 - rates)) @ np.moveaxis(products, -1, 1), 0, 1)
        step = np.linalg.solve(curve + CERTAIN * np.eye(len(columns)), slope[:, :, None])[:, :, 0]
        step = np.clip(step, -FARTHEST_STEP, FARTHEST_STEP)
        found = found + step
        if np.abs(step).max() < CLOSE_ENOUGH:
            break
    return found
