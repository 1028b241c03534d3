"""Calibration: from one margin to the risks within several horizons, which rise with the margin and never cross.

The days after a snapshot are cut into spans at the horizons. In each span an account that has not left yet leaves with
a hazard, sigmoid(slope * margin + intercept + offset of its segment); the risk within a horizon is that of leaving in
any span up to it, 1 - prod(1 - hazard) (discrete-time survival: Singer & Willett, 1993). numpy
only: a service reads it.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

import numpy as np

SMALLEST_STEP = 1e-12


@dataclass(frozen=True)
class Calibrator:
    """The hazard of each span between rising `horizons` (days), by its `slopes` (none below 0) and `intercepts`.

    `offsets` shift the log-odds of every hazard for the segments that have one of their own; all others count as 0.
    Arrays below have the shape (rows, horizons); an offset is one number, or one per row.
    """

    horizons: tuple[int, ...]
    slopes: tuple[float, ...]
    intercepts: tuple[float, ...]
    offsets: Mapping[str, float] = field(default_factory=dict)

    def risks(self, margins: np.ndarray, offsets: np.ndarray | float = 0.0) -> np.ndarray:
        """The risk within every horizon of each margin."""
        return -np.expm1(-np.logaddexp(0, self._log_odds(margins, offsets)).cumsum(axis=-1))

    def slopes_at(self, margins: np.ndarray, offsets: np.ndarray | float = 0.0) -> np.ndarray:
        """The derivative of every risk by the margin."""
        log_odds = self._log_odds(margins, offsets)
        staying = np.exp(-np.logaddexp(0, log_odds).cumsum(axis=-1))
        hazards = np.exp(-np.logaddexp(0, -log_odds))
        return staying * (np.asarray(self.slopes) * hazards).cumsum(axis=-1)

    def points_per_share(self, base_margin: float, steps: np.ndarray, offsets: np.ndarray | float = 0.0) -> np.ndarray:
        """What a share of the margin is worth in each risk: (g(m) - g(b0)) / (m - b0) with m = base_margin + steps.

        Where the margin stands still it is the derivative.
        """
        margins = np.full(len(steps), base_margin)
        moved = self.risks(base_margin + steps, offsets) - self.risks(margins, offsets)
        return worth(steps, moved, self.slopes_at(margins, offsets))

    def offsets_of(self, segments: Iterable[object]) -> np.ndarray:
        """The offset of each row's segment, 0 where it has none of its own or is not known."""
        return np.array([self.offsets.get(str(one), 0.0) for one in segments])

    def column(self, horizon_days: int) -> int:
        """Where the risks within this horizon stand; raises ValueError where it was not learned."""
        return self.horizons.index(horizon_days)

    def _log_odds(self, margins: np.ndarray, offsets: np.ndarray | float) -> np.ndarray:
        shifts = np.asarray(self.intercepts) + np.asarray(offsets)[..., None]
        return np.asarray(margins)[..., None] * np.asarray(self.slopes) + shifts


def worth(steps: np.ndarray, moved: np.ndarray, tangents: np.ndarray) -> np.ndarray:
    """How far risks moved per step of the margin; where the margin stands still it is the tangent."""
    still = np.abs(steps) < SMALLEST_STEP
    return np.where(still[:, None], tangents, moved / np.where(still, 1.0, steps)[:, None])


CERTAIN = 1e-12
