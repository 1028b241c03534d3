"""Why a risk changed between two days: changed signals, changed trees or a changed calibration.

Two risks of an account differ in up to three things: its signals, the trees that give the margin, and the calibrator
that turns the margin into a risk. How much each one contributes depends on the order in which they are exchanged, so
the contribution is the mean over all orders: the Shapley value of three players (Shapley, 1953). The parts always sum
to the change. If the model did not change, the signals' part is the difference of the points that were served.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import product

import numpy as np

from training.calibration.calibrator import Calibrator

# The weight of a set of k players that are already exchanged, k = 0, 1, 2: k! (2 - k)! / 3!
SHAPLEY_WEIGHTS = (1 / 3, 1 / 6, 1 / 3)
BEFORE_AND_AFTER = (0, 1)


@dataclass(frozen=True)
class ChangeInputs:
    """What the risks of some accounts are made of before (index 0) and after (index 1) a change.

    `shares[trees][signals]` has the shape (accounts, inputs): each input's share of the margin that these trees give to
    these signals, with the same list of inputs everywhere. `segments[signals]` names each account's segment.
    """

    shares: Sequence[Sequence[np.ndarray]]
    base_margins: Sequence[float]
    calibrators: Sequence[Calibrator]
    segments: Sequence[Sequence[object]]
    horizon_days: int


@dataclass(frozen=True)
class RiskChange:
    """The parts of each account's change of risk, in probability points; they sum to it.

    `signals` has the shape (accounts, inputs). `base` is the part of an account whose segment changed.
    """

    before: np.ndarray
    after: np.ndarray
    signals: np.ndarray
    base: np.ndarray
    trees: np.ndarray
    calibration: np.ndarray


@dataclass(frozen=True)
class _RiskParts:
    """The risks of one combination, shape (accounts,), with their base and their points."""

    risks: np.ndarray
    bases: np.ndarray
    points: np.ndarray


def attribute_change(inputs: ChangeInputs) -> RiskChange:
    """Split each account's change of risk within the horizon; raises ValueError if a calibrator lacks the horizon."""
    parts = {case: _risk_parts(inputs, *case) for case in product(BEFORE_AND_AFTER, repeat=3)}

    def shapley_value(player: int, part: Callable[[_RiskParts], np.ndarray]) -> np.ndarray:
        """What exchanging one player does to a part of the risk, averaged over all orders."""
        differences = []
        for others in product(BEFORE_AND_AFTER, repeat=2):
            before, after = (parts[(*others[:player], side, *others[player:])] for side in BEFORE_AND_AFTER)
            differences.append(SHAPLEY_WEIGHTS[sum(others)] * (part(after) - part(before)))
        return np.sum(differences, axis=0)

    return RiskChange(
        before=parts[0, 0, 0].risks,
        after=parts[1, 1, 1].risks,
        signals=shapley_value(0, lambda risk: risk.points),
        base=shapley_value(0, lambda risk: risk.bases),
        trees=shapley_value(1, lambda risk: risk.risks),
        calibration=shapley_value(2, lambda risk: risk.risks),
    )


def _risk_parts(inputs: ChangeInputs, signals: int, trees: int, calibration: int) -> _RiskParts:
    calibrator, base_margin = inputs.calibrators[calibration], inputs.base_margins[trees]
    column, offsets = (
        calibrator.horizon_index(inputs.horizon_days),
        calibrator.segment_offsets(inputs.segments[signals]),
    )
    shares = inputs.shares[trees][signals]
    margin_deltas = shares.sum(axis=1)
    scale = calibrator.points_per_margin(base_margin, margin_deltas, offsets)[:, column]
    risks = calibrator.predict_risks(base_margin + margin_deltas, offsets)[:, column]
    bases = calibrator.predict_risks(np.full(len(margin_deltas), base_margin), offsets)[:, column]
    return _RiskParts(risks, bases, shares * scale[:, None])
