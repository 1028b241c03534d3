"""Directions: whether the fitted trees really move the margin only the way that a signal was declared to.

LightGBM is told the directions when it grows the trees; here they are tried on snapshots, one signal at a time.
"""

from dataclasses import dataclass

import numpy as np

from training.model.churn_model import ChurnModel

SWEPT_SNAPSHOTS = 200
SWEPT_VALUES = 25
ROUNDING = 1e-9


@dataclass(frozen=True)
class Direction:
    """A signal with a declared direction: of how many `snapshots` the margin ever moved the other way, and how far."""

    name: str
    direction: int
    snapshots: int
    broken: int
    farthest: float


def swept(model: ChurnModel, matrix: np.ndarray) -> tuple[Direction, ...]:
    """Every signal with a direction, swept over its range for a sample of these snapshots (an encoded matrix).

    Missing is no place in the range, so the margin may stand anywhere there.
    """
    sample = matrix[:: max(len(matrix) // SWEPT_SNAPSHOTS, 1)][:SWEPT_SNAPSHOTS]
    asked = [(column, one) for column, one in enumerate(model.inputs) if one.direction]
    return tuple(
        _swept(model, sample, column, _range(matrix[:, column]))
        for column, _ in asked
        if np.isfinite(matrix[:, column]).any()
    )


def broken_directions(found: tuple[Direction, ...]) -> list[str]:
    """Every direction that does not hold, in a sentence with the signal's name."""
    moves = {1: "lowers", -1: "raises"}
    return [
        f"a higher '{one.name}' {moves[one.direction]} the margin of {one.broken} of {one.snapshots} snapshots,"
        f" by up to {one.farthest:.3f}, against its declared direction"
        for one in found
        if one.broken
    ]


def _swept(model: ChurnModel, sample: np.ndarray, column: int, values: np.ndarray) -> Direction:
    asked = np.repeat(sample, len(values), axis=0)
    asked[:, column] = np.tile(values, len(sample))
    one = model.inputs[column]
    steps = one.direction * np.diff(model.margins(asked).reshape(len(sample), len(values)), axis=1)
    farthest = np.clip(-steps, 0, None).max(axis=1, initial=0.0)
    return Direction(one.name, one.direction, len(sample), int((farthest > ROUNDING).sum()), float(farthest.max()))


def _range(values: np.ndarray) -> np.ndarray:
    there = values[np.isfinite(values)]
    return np.unique(np.quantile(there, np.linspace(0, 1, SWEPT_VALUES)))
