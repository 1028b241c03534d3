"""Recalibration: the same trees, byte for byte, with a newer calibration or with other bands.

Trees stay valid for longer than their calibration: how many accounts leave changes sooner than which ones. A
recalibration moves the log-odds of every hazard along one rising line (Cox, 1958). So no account's drivers change their
order, risks keep theirs within a segment, and a longer horizon never gets a lower risk.
"""

import zlib
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Self

import numpy as np
import pandas as pd
from scipy.optimize import minimize
from scipy.special import logit

from configs.errors import NothingToLearn
from configs.sections.label import LabelSettings
from features.tables.contract import ACCOUNT_ID
from training.calibration.calibrator import PROBABILITY_EPSILON, Calibrator
from training.determinism import single_blas_thread
from training.labels.definition import CHURNED, matures_at
from training.model.churn_model import ChurnModel, encode

FOLDS = 5
MIN_SLOPE = 1e-3


@dataclass(frozen=True)
class RecalibrationSample:
    """What a recalibration is fitted on: margins, the offsets of their segments, and the labels."""

    margins: np.ndarray
    offsets: np.ndarray
    churned: np.ndarray

    def subset(self, mask: np.ndarray) -> "RecalibrationSample":
        """The chosen rows."""
        return RecalibrationSample(self.margins[mask], self.offsets[mask], self.churned[mask])


@dataclass(frozen=True)
class LinePrior:
    """A normal prior of the line: slope 1 and no shift of the mean log-odds, each with a standard deviation of `sd`.

    Each snapshot counts as `weight` observations. A departure is seen on several days before it, so that all of these
    snapshots together count once.
    """

    weight: float
    sd: float = 1.0

    @classmethod
    def of(cls, rows: pd.DataFrame) -> Self:
        """The prior for these snapshots."""
        churned = rows[rows[CHURNED] == 1]
        counted = churned if len(churned) else rows
        return cls(counted[ACCOUNT_ID].nunique() / max(len(counted), 1))

    def penalty(self, slope: float, level_shift: float, snapshots: int) -> float:
        """What the prior adds to the mean log loss of so many snapshots."""
        return ((slope - 1) ** 2 + level_shift**2) / (2 * self.sd**2 * self.weight * max(snapshots, 1))

    def level_sd(self, risks: np.ndarray) -> float:
        """The standard deviation of the level that is left after snapshots with these risks (Laplace)."""
        return float((self.sd**-2 + self.weight * (risks * (1 - risks)).sum()) ** -0.5)


def days_after_training(train: list[datetime], days: list[datetime], label: LabelSettings) -> list[datetime]:
    """The days, oldest first, on which all labels of the `train` days had matured: trees have not seen theirs."""
    return [day for day in days if day >= matures_at(max(train), label)]


def recalibrate_model(model: ChurnModel, rows: pd.DataFrame, min_churned: int) -> ChurnModel:
    """The model with its calibrator fitted anew on snapshots that its trees were not fitted on.

    Raises NothingToLearn if fewer than `min_churned` churned or stayed.
    """
    churned = int(rows[CHURNED].sum())
    if min(churned, len(rows) - churned) < min_churned:
        raise NothingToLearn(
            f"Of {len(rows)} snapshots after the training days {churned} churned; at least {min_churned} must have"
            " churned, and as many stayed.",
            "Wait until more labels have matured, or train again.",
        )
    return replace(model, calibrator=fit_recalibration(model, recalibration_sample(model, rows)))


def recalibration_sample(model: ChurnModel, rows: pd.DataFrame) -> RecalibrationSample:
    """The margins, offsets and labels of snapshots."""
    matrix = encode(rows, model.inputs)
    return RecalibrationSample(model.predict_margins(matrix), model.segment_offsets(matrix), rows[CHURNED].to_numpy())


def predict_out_of_fold(model: ChurnModel, rows: pd.DataFrame) -> np.ndarray:
    """The risks that a recalibration gives accounts it was not fitted on, by five-fold cross-fitting over accounts.

    Raises NothingToLearn if without one fold all accounts have the same outcome: nothing can be fitted on them.
    """
    return predict_horizons_out_of_fold(model, rows)[:, model.main_horizon_index]


def predict_horizons_out_of_fold(model: ChurnModel, rows: pd.DataFrame, prior: LinePrior | None = None) -> np.ndarray:
    """The same for every horizon, shape (rows, horizons), with lines of this prior."""
    folds = assign_folds(rows)
    churned = rows[CHURNED].to_numpy()
    if any(len(np.unique(churned[folds != fold])) < 2 for fold in np.unique(folds)):
        raise NothingToLearn(
            f"Of {len(rows)} snapshots too few have churned, or stayed, to evaluate a calibration on accounts that it"
            " is not fitted on.",
            "Wait until more labels have matured, or train again.",
        )
    matrix, sample = encode(rows, model.inputs), recalibration_sample(model, rows)
    risks = np.empty((len(rows), len(model.calibrator.horizons)))
    for fold in np.unique(folds):
        is_held_out = folds == fold
        refitted = replace(model, calibrator=fit_recalibration(model, sample.subset(~is_held_out), prior))
        risks[is_held_out] = refitted.predict_risks_by_horizon(matrix[is_held_out])
    return risks


def assign_folds(rows: pd.DataFrame, folds: int = FOLDS) -> np.ndarray:
    """The fold of each snapshot, by a hash of its account, so that all snapshots of an account share one."""
    return rows[ACCOUNT_ID].map(lambda account_id: zlib.crc32(str(account_id).encode()) % folds).to_numpy()


def fit_recalibration(model: ChurnModel, sample: RecalibrationSample, prior: LinePrior | None = None) -> Calibrator:
    """The calibrator with the log-odds of every hazard moved along the rising line of maximum likelihood.

    With a prior it is the line of highest posterior density.
    """
    centre = _mean_log_odds(model, sample) if prior else 0.0

    def loss(line: np.ndarray) -> float:
        slope, shift = line
        moved = _move_log_odds(model.calibrator, slope, shift)
        risks = moved.predict_risks(sample.margins, slope * sample.offsets)[:, model.main_horizon_index]
        clipped = np.clip(risks, PROBABILITY_EPSILON, 1 - PROBABILITY_EPSILON)
        log_loss = float(-np.mean(sample.churned * np.log(clipped) + (1 - sample.churned) * np.log1p(-clipped)))
        level_shift = (slope - 1) * centre + shift
        return log_loss + (prior.penalty(slope, level_shift, len(risks)) if prior else 0.0)

    with single_blas_thread():
        result = minimize(loss, np.array([1.0, 0.0]), method="L-BFGS-B", bounds=[(MIN_SLOPE, None), (None, None)])
    return _move_log_odds(model.calibrator, *result.x)


def thresholds_for_sizes(risks: np.ndarray, sizes: tuple[int, int, int]) -> dict[str, float]:
    """Band thresholds such that so many accounts are watch or above, high or above, and critical.

    Raises ValueError if the sizes do not fall, or if too many accounts share a risk to separate them.
    """
    if not len(risks) >= sizes[0] > sizes[1] > sizes[2] > 0:
        raise ValueError(f"the sizes must fall from watch to critical, starting at {len(risks)} accounts at most")
    ranked = np.sort(risks)[::-1]
    watch, high, critical = (float(ranked[size - 1]) for size in sizes)
    if not watch < high < critical:
        raise ValueError("too many accounts have the same risk to separate these sizes")
    return {"watch": watch, "high": high, "critical": critical}


def _move_log_odds(calibrator: Calibrator, slope: float, shift: float) -> Calibrator:
    return replace(
        calibrator,
        slopes=tuple(float(slope * value) for value in calibrator.slopes),
        intercepts=tuple(float(slope * value + shift) for value in calibrator.intercepts),
        offsets={segment: float(slope * value) for segment, value in calibrator.offsets.items()},
    )


def _mean_log_odds(model: ChurnModel, sample: RecalibrationSample) -> float:
    risks = model.calibrator.predict_risks(sample.margins, sample.offsets)[:, model.main_horizon_index]
    return float(logit(np.clip(risks, PROBABILITY_EPSILON, 1 - PROBABILITY_EPSILON)).mean())
