"""Fits the linear model beside the trees: a ridge regression on the same snapshots and labels.

A normal prior shrinks its terms to 0; under it their sum has a standard deviation of `prior_sd`, in log-odds. A slope
against a signal's declared direction is left out. An infinite value is treated as missing.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from scipy.special import logit

from training.determinism import single_blas_thread
from training.model.churn_model import ModelInput
from training.model.linear_model import AdditiveLinearModel

MIN_CATEGORY_COUNT = 20
MIN_MISSING_COUNT = 20
MAX_ITERATIONS = 100


@dataclass(frozen=True)
class DesignColumn:
    """A column of the regression: a number with its gaps filled, or an indicator of one code or of missing values."""

    input_index: int
    values: np.ndarray
    code: int | None = None
    marks_missing: bool = False

    @property
    def is_number(self) -> bool:
        return self.code is None and not self.marks_missing


@dataclass(frozen=True)
class RidgeFit:
    """The columns, a slope for each on its unscaled values, and the intercept."""

    columns: Sequence[DesignColumn]
    slopes: np.ndarray
    intercept: float


def fit_linear_model(
    matrix: np.ndarray, churned: np.ndarray, inputs: tuple[ModelInput, ...], prior_sd: float
) -> AdditiveLinearModel:
    """The linear model of an encoded matrix and its labels."""
    fit = _fit_ridge(list(_design_columns(matrix, inputs)), churned, inputs, prior_sd)
    return _centre(_combine_terms(matrix, inputs, fit), matrix)


def _design_columns(matrix: np.ndarray, inputs: tuple[ModelInput, ...]) -> Iterator[DesignColumn]:
    for index, signal in enumerate(inputs):
        values, is_finite = matrix[:, index], np.isfinite(matrix[:, index])
        if signal.kind == "category":
            counts = np.bincount(values[is_finite].astype(int), minlength=len(signal.categories))
            for code in np.flatnonzero(counts >= MIN_CATEGORY_COUNT).tolist():
                yield DesignColumn(index, (values == code).astype("float64"), code=code)
        elif is_finite.any():
            yield DesignColumn(index, np.where(is_finite, values, np.median(_finite(values))))
            if min(is_finite.sum(), (~is_finite).sum()) >= MIN_MISSING_COUNT:
                yield DesignColumn(index, (~is_finite).astype("float64"), marks_missing=True)


def _fit_ridge(
    columns: list[DesignColumn], churned: np.ndarray, inputs: tuple[ModelInput, ...], prior_sd: float
) -> RidgeFit:
    from sklearn.linear_model import LogisticRegression  # pyright: ignore[reportMissingTypeStubs]

    if not columns:
        return RidgeFit(columns, np.empty(0), float(logit(float(churned.mean()))))
    values = np.column_stack([column.values for column in columns])
    means, scales = values.mean(axis=0), values.std(axis=0)
    scales[scales == 0] = np.inf
    design = (values - means) / scales
    ridge: Any = LogisticRegression(C=prior_sd**2 / len(columns), solver="newton-cholesky", max_iter=MAX_ITERATIONS)
    while True:
        with single_blas_thread():
            ridge.fit(design, churned)
        violating = [i for i, slope in enumerate(ridge.coef_[0]) if _violates_direction(columns[i], slope, inputs)]
        if not violating:
            slopes = ridge.coef_[0] / scales
            return RidgeFit(columns, slopes, float(ridge.intercept_[0] - slopes @ means))
        design[:, violating] = 0.0


def _violates_direction(column: DesignColumn, slope: float, inputs: tuple[ModelInput, ...]) -> bool:
    return column.is_number and inputs[column.input_index].direction * slope < 0


def _combine_terms(matrix: np.ndarray, inputs: tuple[ModelInput, ...], fit: RidgeFit) -> AdditiveLinearModel:
    """The columns of each input as one term."""
    slopes, missing_terms = np.zeros(len(inputs)), np.zeros(len(inputs))
    category_terms = {str(i): np.zeros(len(s.categories)) for i, s in enumerate(inputs) if s.kind == "category"}
    for column, slope in zip(fit.columns, fit.slopes, strict=True):
        if column.code is not None:
            category_terms[str(column.input_index)][column.code] = slope
        elif column.marks_missing:
            missing_terms[column.input_index] += slope
        else:
            slopes[column.input_index] = slope
            missing_terms[column.input_index] += slope * np.median(_finite(matrix[:, column.input_index]))
    clip_low, clip_high = _clip_bounds(matrix)
    return AdditiveLinearModel(
        slopes=_floats(slopes),
        shifts=(0.0,) * len(inputs),
        clip_low=_floats(clip_low),
        clip_high=_floats(clip_high),
        missing_terms=_floats(missing_terms),
        category_terms={index: _floats(terms) for index, terms in category_terms.items()},
        intercept=fit.intercept,
    )


def _clip_bounds(matrix: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The range of each column, widened by its own width on either side; 0 for a column without values."""
    is_missing = ~np.isfinite(matrix)
    has_values = ~is_missing.all(axis=0)
    low = np.where(has_values, np.where(is_missing, np.inf, matrix).min(axis=0), 0.0)
    high = np.where(has_values, np.where(is_missing, -np.inf, matrix).max(axis=0), 0.0)
    return 2 * low - high, 2 * high - low


def _finite(values: np.ndarray) -> np.ndarray:
    return values[np.isfinite(values)]


def _floats(values: np.ndarray) -> tuple[float, ...]:
    return tuple(values.tolist())


def _centre(model: AdditiveLinearModel, matrix: np.ndarray) -> AdditiveLinearModel:
    """The same model with the mean of every term moved into the intercept."""
    means = model.predict_contributions(matrix).mean(axis=0)
    return replace(
        model,
        shifts=_floats(np.array(model.shifts) - means),
        missing_terms=_floats(np.array(model.missing_terms) - means),
        category_terms={
            index: _floats(np.array(terms) - means[int(index)]) for index, terms in model.category_terms.items()
        },
        intercept=float(model.intercept + means.sum()),
    )
