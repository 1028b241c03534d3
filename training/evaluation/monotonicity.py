"""Monotonicity: whether a fitted model moves the margin only in the declared direction of each signal.

LightGBM gets the directions when it grows the trees; here they are tested on snapshots, one signal at a time.
"""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from training.model.churn_model import ChurnModel

MAX_SNAPSHOTS = 200
VALUES_PER_SIGNAL = 25
TOLERANCE = 1e-9


@dataclass(frozen=True)
class MonotonicityCheck:
    """A signal with a declared direction: for how many `snapshots` the margin moved against it, and by how much."""

    name: str
    direction: int
    snapshots: int
    violated: int
    max_violation: float


def check_monotonicity(model: ChurnModel, matrix: np.ndarray) -> tuple[MonotonicityCheck, ...]:
    """Vary every signal with a direction over its range, for a sample of these snapshots (an encoded matrix).

    A missing value has no place in the range, so its margin may be anything.
    """
    sample = matrix[:: max(len(matrix) // MAX_SNAPSHOTS, 1)][:MAX_SNAPSHOTS]
    return tuple(
        _check_signal(model, sample, column, _quantiles(matrix[:, column]))
        for column, signal in enumerate(model.inputs)
        if signal.direction and np.isfinite(matrix[:, column]).any()
    )


def describe_violations(checks: Iterable[MonotonicityCheck]) -> list[str]:
    """A sentence for every direction that does not hold, with the signal's name."""
    verbs = {1: "lowers", -1: "raises"}
    return [
        f"a higher '{check.name}' {verbs[check.direction]} the margin of {check.violated} of {check.snapshots}"
        f" snapshots, by up to {check.max_violation:.3f}, against its declared direction"
        for check in checks
        if check.violated
    ]


def _check_signal(model: ChurnModel, sample: np.ndarray, column: int, values: np.ndarray) -> MonotonicityCheck:
    varied = np.repeat(sample, len(values), axis=0)
    varied[:, column] = np.tile(values, len(sample))
    signal = model.inputs[column]
    margins = model.predict_margins(varied).reshape(len(sample), len(values))
    violations = np.clip(-signal.direction * np.diff(margins, axis=1), 0, None).max(axis=1, initial=0.0)
    violated = int((violations > TOLERANCE).sum())
    return MonotonicityCheck(signal.name, signal.direction, len(sample), violated, float(violations.max()))


def _quantiles(values: np.ndarray) -> np.ndarray:
    finite = values[np.isfinite(values)]
    return np.unique(np.quantile(finite, np.linspace(0, 1, VALUES_PER_SIGNAL)))
