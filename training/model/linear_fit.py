"""Regression: how the line beside the trees is fitted, a ridge regression on the same snapshots and answers.

Its terms are held to 0 by a normal prior under which their sum has a standard deviation of `spread`, in log-odds. What
would break a signal's declared direction is left out. A value without end teaches no more than a missing one.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
from scipy.special import logit

from training.model.churn_model import Input
from training.model.linear_model import Line

RAREST_CATEGORY = 20
FEWEST_GAPS = 20
MOST_ITERATIONS = 100


@dataclass(frozen=True)
class Column:
    """A column of the regression: the number itself, its gaps filled, or a mark of one of its codes or of its gaps."""

    input: int
    values: np.ndarray
    code: int | None = None
    marks_gaps: bool = False

    @property
    def is_number(self) -> bool:
        return self.code is None and not self.marks_gaps


@dataclass(frozen=True)
class Fitted:
    """The columns with a slope each on their values as they are, and the intercept."""

    columns: Sequence[Column]
    slopes: np.ndarray
    intercept: float


def fit_line(matrix: np.ndarray, churned: np.ndarray, inputs: tuple[Input, ...], spread: float) -> Line:
    """The line of an encoded matrix and its answers."""
    return _centred(_line(matrix, inputs, _fit(list(_columns(matrix, inputs)), churned, inputs, spread)), matrix)


def _columns(matrix: np.ndarray, inputs: tuple[Input, ...]) -> Iterator[Column]:
    for place, one in enumerate(inputs):
        values, there = matrix[:, place], np.isfinite(matrix[:, place])
        if one.kind == "category":
            counts = np.bincount(values[there].astype(int), minlength=len(one.categories))
            for code in np.flatnonzero(counts >= RAREST_CATEGORY).tolist():
                yield Column(place, (values == code).astype("float64"), code=code)
        elif there.any():
            yield Column(place, np.where(there, values, np.median(_finite(values))))
            if min(there.sum(), (~there).sum()) >= FEWEST_GAPS:
                yield Column(place, (~there).astype("float64"), marks_gaps=True)


def _fit(columns: list[Column], churned: np.ndarray, inputs: tuple[Input, ...], spread: float) -> Fitted:
    from sklearn.linear_model import LogisticRegression
    from threadpoolctl import threadpool_limits

    if not columns:
        return Fitted(columns, np.empty(0), float(logit(churned.mean())))
    values = np.column_stack([column.values for column in columns])
    means, scales = values.mean(axis=0), values.std(axis=0)
    scales[scales == 0] = np.inf
    design = (values - means) / scales
    ridge = LogisticRegression(C=spread**2 / len(columns), solver="newton-cholesky", max_iter=MOST_ITERATIONS)
    while True:
        with threadpool_limits(1, user_api="blas"):  # how many threads add up moves the last bits
            found = ridge.fit(design, churned)
        wrong = [place for place, slope in enumerate(found.coef_[0]) if _breaks(columns[place], slope, inputs)]
        if not wrong:
            slopes = found.coef_[0] / scales
            return Fitted(columns, slopes, float(found.intercept_[0] - slopes @ means))
        design[:, wrong] = 0.0


def _breaks(column: Column, slope: float, inputs: tuple[Input, ...]) -> bool:
    return column.is_number and inputs[column.input].direction * slope < 0


def _line(matrix: np.ndarray, inputs: tuple[Input, ...], fitted: Fitted) -> Line:
    """The columns of each input as one term."""
    slopes, gaps = np.zeros(len(inputs)), np.zeros(len(inputs))
    effects = {str(place): np.zeros(len(one.categories)) for place, one in enumerate(inputs) if one.kind == "category"}
    for column, slope in zip(fitted.columns, fitted.slopes, strict=True):
        if column.code is not None:
            effects[str(column.input)][column.code] = slope
        elif column.marks_gaps:
            gaps[column.input] += slope
        else:
            slopes[column.input] = slope
            gaps[column.input] += slope * np.median(_finite(matrix[:, column.input]))
    lows, highs = _reach(matrix)
    rows = [tuple(values.tolist()) for values in (slopes, np.zeros(len(inputs)), lows, highs, gaps)]
    return Line(*rows, effects={place: tuple(one.tolist()) for place, one in effects.items()}, level=fitted.intercept)


def _reach(matrix: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """From where to where each column's values lie, and as far again on either side; 0 where it has none."""
    gaps = ~np.isfinite(matrix)
    seen = ~gaps.all(axis=0)
    lows = np.where(seen, np.where(gaps, np.inf, matrix).min(axis=0), 0.0)
    highs = np.where(seen, np.where(gaps, -np.inf, matrix).max(axis=0), 0.0)
    return 2 * lows - highs, 2 * highs - lows


def _finite(values: np.ndarray) -> np.ndarray:
    return values[np.isfinite(values)]


def _centred(line: Line, matrix: np.ndarray) -> Line:
    """The same line with the mean of every term in its level."""
    means = line.shares(matrix).mean(axis=0)
    return replace(
        line,
        shifts=tuple((np.array(line.shifts) - means).tolist()),
        gaps=tuple((np.array(line.gaps) - means).tolist()),
        effects={
            place: tuple((np.array(effects) - means[int(place)]).tolist()) for place, effects in line.effects.items()
        },
        level=float(line.level + means.sum()),
    )
