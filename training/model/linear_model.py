"""Linear model: a regression beside the trees; each of its terms is added to that signal's contribution to the margin.

Trees cut a signal into steps that hold few accounts, and stay flat beyond the largest value of the training data; a
regression follows a steady trend and continues it. On small data the sum of the two has a lower log loss than either
(Bates & Granger, 1969, on combined forecasts). The Shapley value of a term is the term less its mean (Lundberg & Lee,
2017, on linear models), so contributions stay exact. It imports numpy only, because the service uses it.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from configs.files import JsonObject


@dataclass(frozen=True)
class AdditiveLinearModel:
    """One term per input, in units of the margin, with a mean of 0 over the training snapshots.

    A number gives slope * value + shift, clipped to `clip_low` and `clip_high`; a missing value gives its entry of
    `missing_terms`. `category_terms` has the term of each code, by the column of the category.
    """

    slopes: tuple[float, ...]
    shifts: tuple[float, ...]
    clip_low: tuple[float, ...]
    clip_high: tuple[float, ...]
    missing_terms: tuple[float, ...]
    category_terms: Mapping[str, tuple[float, ...]]
    intercept: float

    def predict_contributions(self, matrix: np.ndarray) -> np.ndarray:
        """Each input's term, shape (rows, inputs), of an encoded matrix; an unknown code counts as missing."""
        slopes, shifts, clip_low, clip_high, missing_terms = self._rows
        terms: np.ndarray = slopes * np.minimum(np.maximum(matrix, clip_low), clip_high) + shifts
        for column, by_code in self._terms_by_code:
            codes = np.nan_to_num(matrix[:, column], nan=len(by_code)).astype(int)
            terms[:, column] = by_code[np.minimum(codes, len(by_code) - 1)]
        return np.where(np.isnan(matrix), missing_terms, terms)

    def predict_margins(self, matrix: np.ndarray) -> np.ndarray:
        """What the linear model adds to the margin of each row."""
        return self.intercept + self.predict_contributions(matrix).sum(axis=1)

    @cached_property
    def _rows(self) -> np.ndarray:
        return np.array([self.slopes, self.shifts, self.clip_low, self.clip_high, self.missing_terms])

    @cached_property
    def _terms_by_code(self) -> list[tuple[int, np.ndarray]]:
        """Each category's column and the terms of its codes, with the term of an unknown code last."""
        return [
            (int(column), np.array([*terms, self.missing_terms[int(column)]]))
            for column, terms in self.category_terms.items()
        ]


def linear_model_from_json(document: JsonObject | None) -> AdditiveLinearModel | None:
    """The linear model in a JSON document."""
    if document is None:
        return None
    terms = {column: tuple(terms) for column, terms in document["category_terms"].items()}
    rows = {name: tuple(document[name]) for name in ("slopes", "shifts", "clip_low", "clip_high", "missing_terms")}
    return AdditiveLinearModel(**rows, category_terms=terms, intercept=document["intercept"])
