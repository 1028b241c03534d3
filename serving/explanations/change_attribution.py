"""Change: why a risk moved between two days: by signals that moved, trees that changed, calibration that changed.

Three things may differ between two risks of an account: its signals, the trees that give the margin, the calibrator
that makes a risk of the margin. What each is blamed for depends on which is exchanged first, so every order is walked
and the mean taken: the Shapley value of three players (Shapley, 1953). The parts sum to the change in any case; with
the model unchanged the signals' part is the difference of the points served, family by family.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import product

import numpy as np

from training.model.calibrator import Calibrator

# How often, of the six orders, a player is exchanged when this many of the two others already are.
SHAPLEY_WEIGHTS = (1 / 3, 1 / 6, 1 / 3)
BEFORE_AND_AFTER = (0, 1)


@dataclass(frozen=True)
class ChangeInputs:
    """What the risks of some accounts were made of before (0) and after (1).

    `shares[trees][signals]` has the shape (accounts, inputs): each input's share of the margin that these trees give to
    these signals, over one list of inputs for all. `segments[signals]` names each account's segment.
    """

    shares: Sequence[Sequence[np.ndarray]]
    base_margins: Sequence[float]
    calibrators: Sequence[Calibrator]
    segments: Sequence[Sequence[object]]
    horizon_days: int


@dataclass(frozen=True)
class RiskChange:
    """The parts of each account's change of risk, in probability points, that sum to it.

    `signals` (accounts, inputs) and `base` (a segment that changed, and with it the base) come from the signals.
    """

    before: np.ndarray
    after: np.ndarray
    signals: np.ndarray
    base: np.ndarray
    trees: np.ndarray
    calibration: np.ndarray


@dataclass(frozen=True)
class _RiskParts:
    """The risks that one combination gives, (accounts,), with their base and points."""

    risks: np.ndarray
    bases: np.ndarray
    points: np.ndarray


def attribute_change(sides: ChangeInputs) -> RiskChange:
    """Why each account's risk within the horizon moved; raises ValueError where a calibrator never learned it."""
    combined: dict[tuple[int, ...], _RiskParts] = {
        case: _risk_parts(sides, *case) for case in product(BEFORE_AND_AFTER, BEFORE_AND_AFTER, BEFORE_AND_AFTER)
    }

    def exchanged(player: int, part: Callable[[_RiskParts], np.ndarray]) -> np.ndarray:
        """What exchanging one player does to a part of the risk, over all orders."""
        steps = []
        for others in product(BEFORE_AND_AFTER, BEFORE_AND_AFTER):
            before, after = (combined[(*others[:player], it, *others[player:])] for it in BEFORE_AND_AFTER)
            steps.append(SHAPLEY_WEIGHTS[sum(others)] * (part(after) - part(before)))
        return np.sum(steps, axis=0)

    return RiskChange(
        before=combined[0, 0, 0].risks,
        after=combined[1, 1, 1].risks,
        signals=exchanged(0, lambda one: one.points),
        base=exchanged(0, lambda one: one.bases),
        trees=exchanged(1, lambda one: one.risks),
        calibration=exchanged(2, lambda one: one.risks),
    )


def _risk_parts(sides: ChangeInputs, signals: int, trees: int, calibration: int) -> _RiskParts:
    calibrator, base_margin = sides.calibrators[calibration], sides.base_margins[trees]
    column, offsets = calibrator.horizon_index(sides.horizon_days), calibrator.segment_offsets(sides.segments[signals])
    shares = sides.shares[trees][signals]
    steps = shares.sum(axis=1)
    scale = calibrator.points_per_margin(base_margin, steps, offsets)[:, column]
    risks = calibrator.predict_risks(base_margin + steps, offsets)[:, column]
    bases = calibrator.predict_risks(np.full(len(steps), base_margin), offsets)[:, column]
    return _RiskParts(risks, bases, shares * scale[:, None])
