"""Risks with drivers that add up exactly to them, from a model and signals. Nothing is read or written."""

from bisect import bisect_right
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property, lru_cache

import numpy as np

from configs.sections.bands import BANDS, Band, BandSettings
from features.store.online_reader import ColumnIndex, SignalValues
from serving.scoring.model_bundle import ModelBundle
from training.calibration.calibrator import secant_slope
from training.model.attribution import find_leading_family
from training.model.churn_model import ModelInput

MIN_NAMED_POINTS = 0.0005  # what raises a risk by less is shown as 0.0 points, and is no reason


@dataclass(frozen=True)
class Scores:
    """The risks of some snapshots within every horizon, and what they are made of.

    `contributions` are exact Shapley values of the margin, shape (rows, inputs). `risks_by_horizon`,
    `bases_by_horizon` and `points_per_margin` have the shape (rows, horizons). Attributes without a horizon in their
    name refer to the main horizon.
    """

    model: ModelBundle
    values: SignalValues
    matrix: np.ndarray
    contributions: np.ndarray
    risks_by_horizon: np.ndarray
    bases_by_horizon: np.ndarray
    points_per_margin: np.ndarray

    @property
    def risks(self) -> np.ndarray:
        return self.risks_by_horizon[:, self.model.main_horizon_index]

    @property
    def bases(self) -> np.ndarray:
        """The risk of an account of the row's segment without any signal."""
        return self.bases_by_horizon[:, self.model.main_horizon_index]

    @cached_property
    def points(self) -> np.ndarray:
        """Every signal's points, shape (rows, inputs); base + row sum of points = risk."""
        return self.points_within(self.model.horizon_days)

    def points_within(self, horizon_days: int) -> np.ndarray:
        """Every signal's points of the risk within this horizon, shape (rows, inputs)."""
        return self.contributions * self.points_per_margin[:, [self.model.calibrator.horizon_index(horizon_days)]]

    @property
    def families(self) -> tuple[str, ...]:
        return tuple(self.model.columns_by_family)

    @cached_property
    def family_points(self) -> np.ndarray:
        """Each family's points, shape (rows, families)."""
        return self.family_contributions * self.points_per_margin[:, [self.model.main_horizon_index]]

    @cached_property
    def family_contributions(self) -> np.ndarray:
        """Each family's contribution to the margin, shape (rows, families)."""
        order, starts = self.model.family_order
        return np.add.reduceat(self.contributions[:, order], starts, axis=1)

    @cached_property
    def leading_families(self) -> np.ndarray:
        """The column of the family that raises each risk most; -1 if none raises it by MIN_NAMED_POINTS."""
        leading, _ = self._leading_families
        points = self.family_points[np.arange(len(leading)), leading]
        return np.where(points >= MIN_NAMED_POINTS, leading, -1)

    @cached_property
    def main_reasons(self) -> list[str | None]:
        """The family that leads each risk; None if its lead is too small to survive a refit of the model."""
        min_lead, (_, leads) = self.model.main_reason_min_lead, self._leading_families
        is_clear = (self.leading_families >= 0) & (leads >= (np.inf if min_lead is None else min_lead))
        columns = zip(self.leading_families, is_clear, strict=True)
        return [self.families[column] if clear else None for column, clear in columns]

    @cached_property
    def _leading_families(self) -> tuple[np.ndarray, np.ndarray]:
        return find_leading_family(self.family_contributions)

    @cached_property
    def missing_families(self) -> np.ndarray:
        """Whether a row has no value at all in a family, shape (rows, families)."""
        order, starts = self.model.family_order
        return np.logical_and.reduceat(np.isnan(self.matrix)[:, order], starts, axis=1)


def score_values(model: ModelBundle, values: SignalValues, threads: int = 1) -> Scores:
    """The risks of these accounts with their drivers, from one pass over the trees.

    A signal's points are phi * (g(m) - g(b0)) / (m - b0): its exact share of the margin m, carried through the
    calibrator g of a horizon so that sign and order stay and the sum is risk - base. Raises KeyError if `values` lacks
    a signal of the model.
    """
    return score_matrix(model, values, encode_matrix(model, values), threads)


def score_matrix(model: ModelBundle, values: SignalValues, matrix: np.ndarray, threads: int = 1) -> Scores:
    """The risks of the rows of an encoded matrix; `values` are shown as the values of the signals."""
    contributions, offsets = model.predict_contributions(matrix, threads), model.segment_offsets(matrix)
    margin_deltas, (bases, derivatives) = contributions.sum(axis=1), model.base_risks(offsets)
    risks = model.calibrator.predict_risks(model.base_margin + margin_deltas, offsets)
    return Scores(
        model=model,
        values=values,
        matrix=matrix,
        contributions=contributions,
        risks_by_horizon=risks,
        bases_by_horizon=bases,
        points_per_margin=secant_slope(margin_deltas, risks - bases, derivatives),
    )


def encode_matrix(model: ModelBundle, values: SignalValues) -> np.ndarray:
    """The model's matrix, shape (rows, inputs), float64: numbers as they are, categories as codes, NaN for missing.

    A category that was not in the training data counts as missing. Raises KeyError if a signal is absent.
    """
    number_columns, sources, category_columns = _column_order(model, values.columns)
    matrix = np.empty((len(values), len(model.inputs)))
    matrix[:, number_columns] = values.numbers[:, sources]
    for column, source, codes in category_columns:
        matrix[:, column] = [codes.get(categories[source], np.nan) for categories in values.categories]
    return matrix


@lru_cache(maxsize=2)
def _column_order(
    model: ModelBundle, columns: ColumnIndex
) -> tuple[np.ndarray, np.ndarray, list[tuple[int, int, Mapping[str | None, float]]]]:
    """Where each column of the matrix comes from: numbers by index, categories by index and codes."""
    numbers = [
        (column, columns.numbers[signal.name]) for column, signal in enumerate(model.inputs) if signal.kind == "number"
    ]
    categories = [
        (column, columns.categories[signal.name], _category_codes(signal))
        for column, signal in enumerate(model.inputs)
        if signal.kind != "number"
    ]
    number_columns, sources = np.array(numbers, dtype="int64").reshape(-1, 2).T
    return number_columns, sources, categories


def _category_codes(signal: ModelInput) -> Mapping[str | None, float]:
    return {name: float(code) for code, name in enumerate(signal.categories)}


def risks_by_days(scores: Scores) -> list[dict[str, float]]:
    """The risk of each row within every horizon, by days."""
    days = [str(horizon) for horizon in scores.model.calibrator.horizons]
    return [dict(zip(days, risks, strict=True)) for risks in scores.risks_by_horizon.tolist()]


def assign_bands(risks: np.ndarray, bands: BandSettings) -> list[Band]:
    """The band of each risk."""
    thresholds = bands.thresholds
    return [BANDS[bisect_right(thresholds, risk)] for risk in risks.tolist()]


def band_thresholds(model: ModelBundle, settings: BandSettings) -> BandSettings:
    """The model's own thresholds of the bands; those of the settings if it has none."""
    return BandSettings(**model.bands) if model.bands else settings
