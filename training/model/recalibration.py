"""Release without retraining: the same trees, byte for byte, with a newer calibration or with other bands.

Trees last longer than their calibration: how many leave changes sooner than who does. A recalibration moves the
log-odds of every hazard along one rising line (Cox, 1958), so no account's drivers change their order, risks keep
theirs within a segment, and horizons never cross.
"""

import zlib
from dataclasses import dataclass, replace
from datetime import datetime

import numpy as np
import pandas as pd
from scipy.optimize import minimize
from threadpoolctl import threadpool_limits

from configs.errors import NothingToLearn
from configs.settings import LabelSettings
from training.data.training_set import CHURNED
from training.labels.departures import matures_at
from training.model.calibrator import CERTAIN, Calibrator
from training.model.churn_model import ChurnModel, encode

KEY = "account_id"
FOLDS = 5
SMALLEST_SLOPE = 1e-3
Bands = dict[str, float]


@dataclass(frozen=True)
class Margins:
    """What a calibration is learned from: margins, the offsets of their segments, and the answers."""

    margins: np.ndarray
    offsets: np.ndarray
    churned: np.ndarray

    def of(self, rows: np.ndarray) -> "Margins":
        """Those of some rows."""
        return Margins(self.margins[rows], self.offsets[rows], self.churned[rows])


def unlearned_days(known: list[datetime], days: list[datetime], label: LabelSettings) -> list[datetime]:
    """The days, oldest first, whose snapshots trees learned on the `known` days have not seen, nor their answers."""
    return [day for day in days if day >= matures_at(max(known), label)]


def recalibrated(model: ChurnModel, rows: pd.DataFrame, fewest: int) -> ChurnModel:
    """The model with its calibration fitted anew on snapshots that its trees have not learned from.

    Raises NothingToLearn where fewer than `fewest` churned or stayed.
    """
    churned = int(rows[CHURNED].sum())
    if min(churned, len(rows) - churned) < fewest:
        raise NothingToLearn(
            f"Of {len(rows)} snapshots that the trees have not learned from {churned} churned; at least {fewest} must"
            " have churned, and stayed.",
            "Wait until more answers are known, or train again.",
        )
    return replace(model, calibrator=moved(model, _margins(model, rows)))


def out_of_fold(model: ChurnModel, rows: pd.DataFrame) -> np.ndarray:
    """The risks that a recalibration gives accounts it was not fitted on, each account in one of five folds."""
    fold = _folds(rows)
    matrix, all_margins = encode(rows, model.inputs), _margins(model, rows)
    risks = np.empty(len(rows))
    for one in np.unique(fold):
        held = fold == one
        other = replace(model, calibrator=moved(model, all_margins.of(~held)))
        risks[held] = other.risks(matrix[held])
    return risks


def _folds(rows: pd.DataFrame) -> np.ndarray:
    return rows[KEY].map(lambda name: zlib.crc32(str(name).encode()) % FOLDS).to_numpy()


def moved(model: ChurnModel, seen: Margins) -> Calibrator:
    """The calibrator with the log-odds of every hazard along the rising line of greatest likelihood."""

    def loss(line: np.ndarray) -> float:
        risks = _along(model.calibrator, *line).risks(seen.margins, line[0] * seen.offsets)[:, model.main]
        sure = np.clip(risks, CERTAIN, 1 - CERTAIN)
        return float(-np.mean(seen.churned * np.log(sure) + (1 - seen.churned) * np.log1p(-sure)))

    with threadpool_limits(1, user_api="blas"):  # as in fit_calibrator
        found = minimize(loss, np.array([1.0, 0.0]), method="L-BFGS-B", bounds=[(SMALLEST_SLOPE, None), (None, None)])
    return _along(model.calibrator, *found.x)


def bands_by_calls(risks: np.ndarray, calls: tuple[int, int, int]) -> Bands:
    """Bands that hold as many accounts as the team can call: so many watch or above, high or above, critical.

    Raises ValueError where they do not rise, or where the risks cannot tell so many apart.
    """
    if not len(risks) >= calls[0] > calls[1] > calls[2] > 0:
        raise ValueError(f"the calls must fall, from at most {len(risks)} accounts")
    ranked = np.sort(risks)[::-1]
    watch, high, critical = (float(ranked[many - 1]) for many in calls)
    if not watch < high < critical:
        raise ValueError("too many accounts share a risk to cut them there")
    return {"watch": watch, "high": high, "critical": critical}


def _along(calibrator: Calibrator, slope: float, shift: float) -> Calibrator:
    return replace(
        calibrator,
        slopes=tuple(float(slope * one) for one in calibrator.slopes),
        intercepts=tuple(float(slope * one + shift) for one in calibrator.intercepts),
        offsets={segment: float(slope * one) for segment, one in calibrator.offsets.items()},
    )


def _margins(model: ChurnModel, rows: pd.DataFrame) -> Margins:
    matrix = encode(rows, model.inputs)
    return Margins(model.margins(matrix), model.offsets(matrix), rows[CHURNED].to_numpy())
