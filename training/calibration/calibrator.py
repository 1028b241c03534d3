"""Calibrator: turns one margin into the risks for several horizons.

The horizons divide the days after a snapshot into intervals. In each of them an account that has not left yet leaves
with the hazard sigmoid(slope * margin + intercept + offset of its segment). The risk for a horizon is the probability
of leaving in any interval up to it, 1 - prod(1 - hazard) (discrete-time survival: Singer & Willett, 1993). So risks
rise with the margin, and a longer horizon never has a lower risk. It imports numpy only, because the service uses it.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

import numpy as np

from configs.files import JsonObject

MIN_MARGIN_DELTA = 1e-12
PROBABILITY_EPSILON = 1e-12


@dataclass(frozen=True)
class Calibrator:
    """The hazard of each interval between rising `horizons` (days), by its `slopes` (none below 0) and `intercepts`.

    `offsets` shift the log-odds of every hazard for the segments that have their own; all others have 0. Arrays below
    have the shape (rows, horizons); an offset is one number, or one per row.
    """

    horizons: tuple[int, ...]
    slopes: tuple[float, ...]
    intercepts: tuple[float, ...]
    offsets: Mapping[str, float] = field(default_factory=dict[str, float])

    def predict_risks(self, margins: np.ndarray, offsets: np.ndarray | float = 0.0) -> np.ndarray:
        """The risk of each margin for every horizon."""
        return -np.expm1(-np.logaddexp(0, self._log_odds(margins, offsets)).cumsum(axis=-1))

    def risk_derivatives(self, margins: np.ndarray, offsets: np.ndarray | float = 0.0) -> np.ndarray:
        """The derivative of every risk by the margin."""
        log_odds = self._log_odds(margins, offsets)
        survival = np.exp(-np.logaddexp(0, log_odds).cumsum(axis=-1))
        hazards = np.exp(-np.logaddexp(0, -log_odds))
        return survival * (np.asarray(self.slopes) * hazards).cumsum(axis=-1)

    def points_per_margin(
        self, base_margin: float, margin_delta: np.ndarray, offsets: np.ndarray | float = 0.0
    ) -> np.ndarray:
        """How far each risk moves per unit of margin: (g(m) - g(b0)) / (m - b0) with m = b0 + margin_delta.

        If the margin does not move, it is the derivative.
        """
        margins = np.full(len(margin_delta), base_margin)
        risk_delta = self.predict_risks(base_margin + margin_delta, offsets) - self.predict_risks(margins, offsets)
        return secant_slope(margin_delta, risk_delta, self.risk_derivatives(margins, offsets))

    def segment_offsets(self, segments: Iterable[object]) -> np.ndarray:
        """The offset of each row's segment, 0 if the segment has none or is unknown."""
        return np.array([self.offsets.get(str(segment), 0.0) for segment in segments])

    def horizon_index(self, horizon_days: int) -> int:
        """The column of the risks for this horizon; raises ValueError if it was not fitted."""
        return self.horizons.index(horizon_days)

    def shifted(self, shift: float) -> "Calibrator":
        """The calibrator whose hazards all have `shift` more log-odds."""
        return replace(self, intercepts=tuple(intercept + shift for intercept in self.intercepts))

    def _log_odds(self, margins: np.ndarray, offsets: np.ndarray | float) -> np.ndarray:
        shifts = np.asarray(self.intercepts) + np.asarray(offsets)[..., None]
        return np.asarray(margins)[..., None] * np.asarray(self.slopes) + shifts


def calibrator_from_json(document: JsonObject) -> Calibrator:
    """The calibrator in a JSON document."""
    rows = {name: tuple(document[name]) for name in ("horizons", "slopes", "intercepts")}
    return Calibrator(**rows, offsets=document["offsets"])


def secant_slope(margin_delta: np.ndarray, risk_delta: np.ndarray, derivatives: np.ndarray) -> np.ndarray:
    """How far risks moved per unit of margin; the derivative if the margin did not move."""
    is_still = np.abs(margin_delta) < MIN_MARGIN_DELTA
    return np.where(is_still[:, None], derivatives, risk_delta / np.where(is_still, 1.0, margin_delta)[:, None])
