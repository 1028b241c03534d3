"""The line: a regression beside the trees, each signal's term of it added to the signal's share of the margin.

Trees cut a signal into steps that few accounts stand on, and end where it was seen to end; a regression holds on to
what rises evenly and goes on rising. Where data is small the two in equal parts are truer than either (Bates & Granger,
1969, on combined forecasts). The Shapley value of a term is the term less its mean (Lundberg & Lee, 2017, on linear
models), so shares stay exact. numpy only: a service reads it.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np


@dataclass(frozen=True)
class Line:
    """One term per input, in units of the margin; its mean over the snapshots learned from is 0, `level` is the rest.

    A number gives slope * value + shift, one beyond `lows` and `highs` what these give, a missing value its `gaps`.
    `effects` holds, by the column of a category, what each of its codes gives.
    """

    slopes: tuple[float, ...]
    shifts: tuple[float, ...]
    lows: tuple[float, ...]
    highs: tuple[float, ...]
    gaps: tuple[float, ...]
    effects: Mapping[str, tuple[float, ...]]
    level: float

    def shares(self, matrix: np.ndarray) -> np.ndarray:
        """Each input's term, shape (rows, inputs), of an encoded matrix; a code never seen counts as missing."""
        slopes, shifts, lows, highs, gaps = self._numbers
        found = slopes * np.minimum(np.maximum(matrix, lows), highs) + shifts
        for place, effects in self._effects:
            codes = np.nan_to_num(matrix[:, place], nan=len(effects)).astype(int)
            found[:, place] = effects[np.minimum(codes, len(effects) - 1)]
        return np.where(np.isnan(matrix), gaps, found)

    def margins(self, matrix: np.ndarray) -> np.ndarray:
        """What the line adds to the margin of each row."""
        return self.level + self.shares(matrix).sum(axis=1)

    @cached_property
    def _numbers(self) -> np.ndarray:
        return np.array([self.slopes, self.shifts, self.lows, self.highs, self.gaps])

    @cached_property
    def _effects(self) -> list[tuple[int, np.ndarray]]:
        """By column what each code gives, and last what one gives that was never seen."""
        return [(int(place), np.array([*effects, self.gaps[int(place)]])) for place, effects in self.effects.items()]


def line_of(document: Mapping[str, Any] | None) -> Line | None:
    """The line that JSON kept as what `dataclasses.asdict` made of it."""
    if document is None:
        return None
    effects = {column: tuple(values) for column, values in document["effects"].items()}
    rows = {name: tuple(document[name]) for name in ("slopes", "shifts", "lows", "highs", "gaps")}
    return Line(**rows, effects=effects, level=document["level"])
