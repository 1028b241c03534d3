"""Hazards: the calibrator fitted by maximum likelihood, span by span, on margins of days later than their trees."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.optimize import minimize, minimize_scalar
from scipy.special import expit, log_expit

from training.calibration import Calibrator

SMALLEST_SLOPE = 1e-3
FARTHEST_OFFSET = 3.0


@dataclass(frozen=True)
class Span:
    """Snapshots that stayed through the last horizon and whose answer `until_day` is known: margins, segments, left."""

    until_day: int
    margins: np.ndarray
    segments: np.ndarray
    left: np.ndarray


@dataclass(frozen=True)
class SegmentRule:
    """From how many that left, and that stayed, a segment has an offset of its own, and how far offsets spread.

    `spread` is the standard deviation that offsets are expected to have, in log-odds: the smaller, the more a segment
    is held to the others.
    """

    fewest: int
    spread: float


def fit_calibrator(spans: Sequence[Span], rule: SegmentRule) -> Calibrator:
    """The calibrator of greatest likelihood: every span a logistic curve that never falls, then the segments."""
    curves = [logistic_curve(one.margins, one.left) for one in spans]
    pooled = Calibrator(
        horizons=tuple(one.until_day for one in spans),
        slopes=tuple(slope for slope, _ in curves),
        intercepts=tuple(intercept for _, intercept in curves),
    )
    return Calibrator(pooled.horizons, pooled.slopes, pooled.intercepts, _offsets(spans, pooled, rule))


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


def _offsets(spans: Sequence[Span], pooled: Calibrator, rule: SegmentRule) -> Mapping[str, float]:
    segments = sorted({str(segment) for one in spans for segment in one.segments if segment is not None})
    found = {}
    for segment in segments:
        parts = [one.segments == segment for one in spans]
        left = np.concatenate([one.left[part] for one, part in zip(spans, parts, strict=True)])
        curves = zip(spans, parts, pooled.slopes, pooled.intercepts, strict=True)
        log_odds = np.concatenate([slope * one.margins[part] + level for one, part, slope, level in curves])
        if min(left.sum(), len(left) - left.sum()) >= rule.fewest:
            found[segment] = _offset(log_odds, left, rule.spread)
    return found


def _offset(log_odds: np.ndarray, left: np.ndarray, spread: float) -> float:
    """The shift of greatest likelihood, held to 0 by a normal prior of this spread."""

    def loss(shift: float) -> float:
        return (shift / spread) ** 2 / 2 + len(left) * curve_loss(log_odds + shift, left)

    found: Any = minimize_scalar(loss, bounds=(-FARTHEST_OFFSET, FARTHEST_OFFSET), method="bounded")
    return float(found.x)
