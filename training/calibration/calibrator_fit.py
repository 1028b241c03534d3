"""Fits the calibrator, one interval at a time, on margins of days later than those that the trees were fitted on.

The slope is shrunk by its uncertainty (van Houwelingen & le Cessie, 1990): if margins say nothing on later days, every
account gets the same risk. The intercept matches the refitted trees to the most recent labels. `level.py` then
forecasts by how much the days that risks are for will differ from these.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from scipy.optimize import brentq, minimize, minimize_scalar
from scipy.special import expit, log_expit

from training.calibration.calibrator import Calibrator
from training.determinism import single_blas_thread

MIN_SLOPE = 1e-3
MAX_OFFSET, MAX_INTERCEPT = 3.0, 20.0


@dataclass(frozen=True)
class HorizonInterval:
    """Snapshots of accounts that stayed through the horizon before, and which of them left by `until_day`.

    `margins` are those of trees that were not fitted on these snapshots, `refit_margins` those of the refitted trees.
    """

    until_day: int
    margins: np.ndarray
    refit_margins: np.ndarray
    segments: np.ndarray
    account_ids: np.ndarray
    churned: np.ndarray


@dataclass(frozen=True)
class LogisticFit:
    """A logistic curve: its slope, and its intercept for the earlier margins and for those of the refitted trees."""

    slope: float
    intercept: float
    refit_intercept: float


@dataclass(frozen=True)
class SegmentPrior:
    """When a segment gets its own offset, and how large offsets are expected to be.

    At least `min_churned` of its accounts must have churned, and as many stayed. `sd` is the standard deviation of the
    offsets in log-odds: the smaller it is, the more a segment is shrunk towards the others.
    """

    min_churned: int
    sd: float


def fit_calibrator(intervals: Sequence[HorizonInterval], prior: SegmentPrior) -> Calibrator:
    """The calibrator of the refitted trees: a logistic curve that never falls for each interval, then the segments."""
    with single_blas_thread():
        fits = [_fit_interval(interval) for interval in intervals]
        pooled = Calibrator(
            horizons=tuple(interval.until_day for interval in intervals),
            slopes=tuple(fit.slope for fit in fits),
            intercepts=tuple(fit.intercept for fit in fits),
        )
        offsets = _fit_offsets(intervals, pooled, prior)
    return replace(pooled, intercepts=tuple(fit.refit_intercept for fit in fits), offsets=offsets)


def fit_logistic_curve(margins: np.ndarray, churned: np.ndarray) -> tuple[float, float]:
    """Slope and intercept of the maximum-likelihood logistic curve that never falls (Platt, 1999)."""

    def loss(parameters: np.ndarray) -> tuple[float, np.ndarray]:
        log_odds: np.ndarray = parameters[0] * margins + parameters[1]
        residuals = (expit(log_odds) - churned) / len(churned)
        return log_loss_of_log_odds(log_odds, churned), np.array([residuals @ margins, residuals.sum()])

    start = np.array([1.0, 0.0])
    result = minimize(loss, start, jac=True, method="L-BFGS-B", bounds=[(MIN_SLOPE, None), (None, None)])
    return float(result.x[0]), float(result.x[1])


def log_loss_of_log_odds(log_odds: np.ndarray, churned: np.ndarray) -> float:
    """Mean log loss, in nats."""
    return -float(np.mean(churned * log_expit(log_odds) + (1 - churned) * log_expit(-log_odds)))


def _fit_interval(interval: HorizonInterval) -> LogisticFit:
    slope, intercept = fit_logistic_curve(interval.margins, interval.churned)
    slope = max(slope - _slope_variance(interval, slope, intercept) / slope, MIN_SLOPE)
    intercept, refit_intercept = (
        _matching_intercept(slope * margins, interval.churned) for margins in (interval.margins, interval.refit_margins)
    )
    return LogisticFit(slope, intercept, refit_intercept)


def _slope_variance(interval: HorizonInterval, slope: float, intercept: float) -> float:
    """The variance of a fitted slope, clustered by account (the sandwich estimator: White, 1982)."""
    rates = expit(slope * interval.margins + intercept)
    columns = np.column_stack([interval.margins, np.ones(len(rates))])
    bread = np.linalg.pinv(columns.T @ (columns * (rates * (1 - rates))[:, None]))
    scores = _sum_by_account(interval, columns * (interval.churned - rates)[:, None])
    return float((bread @ scores.T @ scores @ bread)[0, 0])


def _sum_by_account(interval: HorizonInterval, values: np.ndarray) -> np.ndarray:
    account_ids, index = np.unique(interval.account_ids, return_inverse=True)
    return np.column_stack([np.bincount(index, column, len(account_ids)) for column in values.T])


def _matching_intercept(log_odds: np.ndarray, churned: np.ndarray) -> float:
    """What must be added for the mean risk to equal the rate; a rate of 0 or 1 is moved by half a snapshot."""
    rate = np.clip(churned.mean(), 0.5 / len(churned), 1 - 0.5 / len(churned))
    limit = np.abs(log_odds).max() + MAX_INTERCEPT
    return float(brentq(lambda intercept: float(expit(log_odds + intercept).mean() - rate), -limit, limit))


def _fit_offsets(intervals: Sequence[HorizonInterval], pooled: Calibrator, prior: SegmentPrior) -> Mapping[str, float]:
    names = sorted({str(segment) for interval in intervals for segment in interval.segments if segment is not None})
    offsets: dict[str, float] = {}
    for name in names:
        masks = [interval.segments == name for interval in intervals]
        parts = list(zip(intervals, masks, strict=True))
        churned = np.concatenate([interval.churned[mask] for interval, mask in parts])
        weights = np.concatenate([_account_weights(interval.account_ids[mask]) for interval, mask in parts])
        curves = zip(parts, pooled.slopes, pooled.intercepts, strict=True)
        log_odds = np.concatenate([slope * part.margins[mask] + start for (part, mask), slope, start in curves])
        if min(weights @ churned, weights @ (1 - churned)) >= prior.min_churned:
            offsets[name] = _fit_offset(log_odds, churned, weights, sd=prior.sd)
    return offsets


def _account_weights(account_ids: np.ndarray) -> np.ndarray:
    """The weight of each snapshot: all of them together weigh as much as there are accounts.

    They weigh the same: an account that left is seen on fewer days, and must not weigh more for it.
    """
    return np.full(len(account_ids), len(np.unique(account_ids)) / max(len(account_ids), 1))


def _fit_offset(log_odds: np.ndarray, churned: np.ndarray, weights: np.ndarray, *, sd: float) -> float:
    """The shift with the highest posterior under a normal prior around 0."""

    def loss(shift: float) -> float:
        shifted = log_odds + shift
        log_likelihood = weights @ np.where(churned > 0, log_expit(shifted), log_expit(-shifted))
        return (shift / sd) ** 2 / 2 - float(log_likelihood)

    result = minimize_scalar(loss, bounds=(-MAX_OFFSET, MAX_OFFSET), method="bounded")
    return float(result.x)
