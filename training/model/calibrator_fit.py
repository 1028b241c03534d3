"""Hazards: the calibrator, fitted span by span on margins of days later than their trees, and no surer than they allow.

Its slope is shrunk by what the evidence leaves open (van Houwelingen & le Cessie, 1990): where margins say nothing on
later days, everyone is given the newest rate. Its level is that at which the trees that are served meet the newest
answers. That these trees will miss later days by as much as those before them did is believed only so far: the drift
is held to 0 by a normal prior.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from scipy.optimize import brentq, minimize, minimize_scalar
from scipy.special import expit, log_expit
from threadpoolctl import threadpool_limits

from training.model.calibrator import Calibrator

SMALLEST_SLOPE = 1e-3
FARTHEST_OFFSET, FARTHEST_LEVEL = 3.0, 20.0


@dataclass(frozen=True)
class Span:
    """Snapshots that stayed through the last horizon and whose answer `until_day` is known: whose, and who left.

    `margins` are those of trees that had not learned from them, `served` those of the trees that are served.
    """

    until_day: int
    margins: np.ndarray
    served: np.ndarray
    segments: np.ndarray
    accounts: np.ndarray
    left: np.ndarray


@dataclass(frozen=True)
class Curve:
    """A logistic curve on margins: its slope, and its level on margins as they were and on those that are served."""

    slope: float
    level: float
    served: float


@dataclass(frozen=True)
class SegmentRule:
    """From how many accounts that left, and that stayed, a segment has an offset of its own, and how far these spread.

    `spread` is the standard deviation that offsets are expected to have, in log-odds: the smaller, the more a segment
    is held to the others.
    """

    fewest: int
    spread: float


def fit_calibrator(spans: Sequence[Span], rule: SegmentRule, drift_prior_sd: float) -> Calibrator:
    """The calibrator of the trees that are served: every span a logistic curve that never falls, then the segments.

    `drift_prior_sd` is the standard deviation, in log-odds, of how much further the rate is expected to drift.
    """
    with threadpool_limits(1, user_api="blas"):  # how many threads add up moves the last bits
        return _fitted(spans, rule, drift_prior_sd)


def _fitted(spans: Sequence[Span], rule: SegmentRule, drift_prior_sd: float) -> Calibrator:
    curves = [_curve(one, drift_prior_sd) for one in spans]
    seen = Calibrator(
        horizons=tuple(one.until_day for one in spans),
        slopes=tuple(curve.slope for curve in curves),
        intercepts=tuple(curve.level for curve in curves),
    )
    return replace(seen, intercepts=tuple(curve.served for curve in curves), offsets=_offsets(spans, seen, rule))


def logistic_curve(margins: np.ndarray, left: np.ndarray) -> tuple[float, float]:
    """Slope and intercept of the logistic curve of greatest likelihood on the margins, never falling (Platt, 1999)."""

    def loss(parameters: np.ndarray) -> tuple[float, np.ndarray]:
        log_odds = parameters[0] * margins + parameters[1]
        missed = (expit(log_odds) - left) / len(left)
        return curve_loss(log_odds, left), np.array([missed @ margins, missed.sum()])

    start = np.array([1.0, 0.0])
    found = minimize(loss, start, jac=True, method="L-BFGS-B", bounds=[(SMALLEST_SLOPE, None), (None, None)])
    return float(found.x[0]), float(found.x[1])


def curve_loss(log_odds: np.ndarray, left: np.ndarray) -> float:
    """Mean surprise at the answers, in nats."""
    return -float(np.mean(left * log_expit(log_odds) + (1 - left) * log_expit(-log_odds)))


def _curve(span: Span, drift_prior_sd: float) -> Curve:
    slope, level = logistic_curve(span.margins, span.left)
    slope = max(slope - _variance(span, slope, level) / slope, SMALLEST_SLOPE)
    level, newest = (_level(slope * margins, span.left) for margins in (span.margins, span.served))
    believed = drift_prior_sd**2 / (drift_prior_sd**2 + _level_variance(span, slope, level))
    return Curve(slope, level, newest + believed * (level - newest))


def _variance(span: Span, slope: float, level: float) -> float:
    """That of a fitted slope, the snapshots of an account taken together (the sandwich: White, 1982)."""
    rates = expit(slope * span.margins + level)
    columns = np.column_stack([span.margins, np.ones(len(rates))])
    bread = np.linalg.pinv(columns.T @ (columns * (rates * (1 - rates))[:, None]))
    missed = _by_account(span, columns * (span.left - rates)[:, None])
    return float((bread @ missed.T @ missed @ bread)[0, 0])


def _level_variance(span: Span, slope: float, level: float) -> float:
    """That of a fitted level, in the same way."""
    rates = expit(slope * span.margins + level)
    missed = _by_account(span, (span.left - rates)[:, None])
    return float((missed**2).sum() / max((rates * (1 - rates)).sum(), SMALLEST_SLOPE) ** 2)


def _by_account(span: Span, values: np.ndarray) -> np.ndarray:
    names, of = np.unique(span.accounts, return_inverse=True)
    return np.column_stack([np.bincount(of, column, len(names)) for column in values.T])


def _level(log_odds: np.ndarray, left: np.ndarray) -> float:
    """What must be added for the mean risk to be the rate; where nobody or everyone left, half a snapshot did not."""
    rate = np.clip(left.mean(), 0.5 / len(left), 1 - 0.5 / len(left))
    reach = np.abs(log_odds).max() + FARTHEST_LEVEL
    found: Any = brentq(lambda level: float(expit(log_odds + level).mean() - rate), -reach, reach)
    return float(found)


def _offsets(spans: Sequence[Span], pooled: Calibrator, rule: SegmentRule) -> Mapping[str, float]:
    segments = sorted({str(segment) for one in spans for segment in one.segments if segment is not None})
    found = {}
    for segment in segments:
        parts = [one.segments == segment for one in spans]
        left = np.concatenate([one.left[part] for one, part in zip(spans, parts, strict=True)])
        counted = np.concatenate([_counted(one.accounts[part]) for one, part in zip(spans, parts, strict=True)])
        curves = zip(spans, parts, pooled.slopes, pooled.intercepts, strict=True)
        log_odds = np.concatenate([slope * one.margins[part] + level for one, part, slope, level in curves])
        if min(counted @ left, counted @ (1 - left)) >= rule.fewest:
            found[segment] = _offset(log_odds, left, counted, spread=rule.spread)
    return found


def _counted(accounts: np.ndarray) -> np.ndarray:
    """What each snapshot counts: all of them no more than there are accounts.

    All count alike: who left is seen on fewer days, and must not weigh more for it.
    """
    return np.full(len(accounts), len(np.unique(accounts)) / max(len(accounts), 1))


def _offset(log_odds: np.ndarray, left: np.ndarray, counted: np.ndarray, *, spread: float) -> float:
    """The shift of greatest likelihood, held to 0 by a normal prior of this spread."""

    def loss(shift: float) -> float:
        shifted = log_odds + shift
        return (shift / spread) ** 2 / 2 - float(counted @ np.where(left > 0, log_expit(shifted), log_expit(-shifted)))

    found: Any = minimize_scalar(loss, bounds=(-FARTHEST_OFFSET, FARTHEST_OFFSET), method="bounded")
    return float(found.x)
