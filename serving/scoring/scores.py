"""Scoring: a model and signals in, risks with drivers that add up exactly to them out; nothing is read or kept."""

from bisect import bisect_right
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property, lru_cache

import numpy as np

from configs.settings import BandSettings
from features.store.online_reader import Columns, Values
from serving.scoring.model_bundle import ModelBundle
from training.model.attribution import leading
from training.model.calibrator import secant_slope

BANDS = ("low", "watch", "high", "critical")


@dataclass(frozen=True)
class Scores:
    """The risks of some snapshots within every horizon, and what they are made of.

    `shares` are exact Shapley shares of the margin, shape (rows, inputs). `risks_within`, `bases_within` and
    `points_per_share` have the shape (rows, horizons). What names no horizon is that of the main one.
    """

    model: ModelBundle
    values: Values
    matrix: np.ndarray
    shares: np.ndarray
    risks_within: np.ndarray
    bases_within: np.ndarray
    points_per_margin: np.ndarray

    @property
    def risks(self) -> np.ndarray:
        return self.risks_within[:, self.model.main_column]

    @property
    def bases(self) -> np.ndarray:
        """The risk of an account of the row's segment about which nothing else is known."""
        return self.bases_within[:, self.model.main_column]

    @cached_property
    def points(self) -> np.ndarray:
        """Every signal's points, shape (rows, inputs); base + row sum of points = risk."""
        return self.points_within(self.model.horizon_days)

    def points_within(self, horizon_days: int) -> np.ndarray:
        """Every signal's points of the risk within this horizon, shape (rows, inputs)."""
        return self.shares * self.points_per_margin[:, [self.model.calibrator.horizon_index(horizon_days)]]

    @property
    def families(self) -> tuple[str, ...]:
        return tuple(self.members)

    @property
    def members(self) -> Mapping[str, list[int]]:
        """The columns of each family."""
        return self.model.members

    @cached_property
    def family_points(self) -> np.ndarray:
        """Each family's points, shape (rows, families)."""
        return self.family_shares * self.points_per_margin[:, [self.model.main_column]]

    @cached_property
    def family_shares(self) -> np.ndarray:
        """Each family's share of the margin, shape (rows, families)."""
        order, begins = self.model.family_order
        return np.add.reduceat(self.shares[:, order], begins, axis=1)

    @cached_property
    def main_reasons(self) -> list[str | None]:
        """The family that raises each risk most; None where its lead does not outlast making the model again."""
        clear = self.model.clear_lead
        first, leads = leading(self.family_shares)
        told = (first >= 0) & (leads >= (np.inf if clear is None else clear))
        return [self.families[place] if is_told else None for place, is_told in zip(first, told, strict=True)]

    @cached_property
    def missing(self) -> np.ndarray:
        """Whether a row has no value at all in a family, shape (rows, families)."""
        order, begins = self.model.family_order
        return np.logical_and.reduceat(np.isnan(self.matrix)[:, order], begins, axis=1)


def score_values(model: ModelBundle, values: Values, threads: int = 1) -> Scores:
    """The risks of these accounts with what they are made of, from one pass over the trees.

    A point is phi * (g(m) - g(b0)) / (m - b0): the exact share of the margin m, carried through the calibrator g of a
    horizon so that sign and order stay and the sum is risk - base. Raises KeyError where `values` lacks a signal of the
    model.
    """
    return score_matrix(model, values, encode_matrix(model, values), threads)


def score_matrix(model: ModelBundle, values: Values, matrix: np.ndarray, threads: int = 1) -> Scores:
    """The risks of the rows of a matrix that was encoded already; `values` are what is told of them."""
    shares, offsets = model.contributions(matrix, threads), model.offsets(matrix)
    steps, (bases, tangents) = shares.sum(axis=1), model.base_risks(offsets)
    risks = model.calibrator.predict_risks(model.base_margin + steps, offsets)
    return Scores(
        model=model,
        values=values,
        matrix=matrix,
        shares=shares,
        risks_within=risks,
        bases_within=bases,
        points_per_margin=secant_slope(steps, risks - bases, tangents),
    )


def encode_matrix(model: ModelBundle, values: Values) -> np.ndarray:
    """The model's matrix, shape (rows, inputs), float64: numbers as they are, categories as codes, NaN for missing.

    A category never seen in training counts as missing. Raises KeyError where a signal is not there.
    """
    to, taken, codes = _column_order(model, values.columns)
    matrix = np.empty((len(values), len(model.inputs)))
    matrix[:, to] = values.numbers[:, taken]
    for column, place, code in codes:
        matrix[:, column] = [code.get(words[place], np.nan) for words in values.words]
    return matrix


@lru_cache(maxsize=2)
def _column_order(model: ModelBundle, columns: Columns) -> tuple[np.ndarray, np.ndarray, list[tuple[int, int, dict]]]:
    """Which column of the matrix takes which number, and which takes which word by which codes."""
    numbers = [(to, columns.numbers[one.name]) for to, one in enumerate(model.inputs) if one.kind == "number"]
    codes = [
        (to, columns.categories[one.name], {word: float(code) for code, word in enumerate(one.categories)})
        for to, one in enumerate(model.inputs)
        if one.kind != "number"
    ]
    to, taken = np.array(numbers, dtype="int64").reshape(-1, 2).T
    return to, taken, codes


def risks_by_horizon(scores: Scores) -> list[dict[str, float]]:
    """The risk of each row within every horizon, in days."""
    days = [str(one) for one in scores.model.calibrator.horizons]
    return [dict(zip(days, risks, strict=True)) for risks in scores.risks_within.tolist()]


def assign_bands(risks: np.ndarray, cuts: BandSettings) -> list[str]:
    """The band of each risk."""
    edges = [cuts.watch, cuts.high, cuts.critical]
    return [BANDS[bisect_right(edges, one)] for one in risks.tolist()]


def band_thresholds(model: ModelBundle, settings: BandSettings) -> BandSettings:
    """The cuts that a model's risks are banded by: its own where it was released with some, else the settings'."""
    return BandSettings(**model.bands) if model.bands else settings
