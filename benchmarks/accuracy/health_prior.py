"""The health score as a prior: a regression on its parts that believes in their weights until departures say otherwise.

It is what a company could do with few departures and without another company's model.
"""

import numpy as np
import pandas as pd
from scipy.optimize import minimize
from scipy.special import expit, log_expit, logit

from features.health_score.parts import HealthParts
from training.labels.definition import CHURNED
from training.model.recalibration import LinePrior

LOG_ODDS = 4.0  # between an account with all points and one with none, before any departure
WEIGHT_SD = 0.7  # of the log-odds of a part
LEVEL_SD = 1.0


def predict_with_health_prior(rows: pd.DataFrame, newest: pd.DataFrame, parts: HealthParts) -> np.ndarray:
    """The risks of the newest snapshots; a part that is not known counts as the mean."""
    points, newest_points = _points(rows, parts), _points(newest, parts)
    mean = np.nan_to_num(np.nanmean(np.concatenate([points, newest_points]), axis=0))
    weights = np.array([part.weight for part in parts.part])
    prior = np.concatenate([[_base_log_odds(rows)], -LOG_ODDS * weights / weights.sum()])
    deviations = np.concatenate([[LEVEL_SD], np.full(len(weights), WEIGHT_SD)])
    matrix, newest_matrix = (_with_intercept(np.nan_to_num(each - mean)) for each in (points, newest_points))
    churned, weight = rows[CHURNED].to_numpy(dtype="float64"), LinePrior.of(rows).weight

    def loss(coefficients: np.ndarray) -> tuple[float, np.ndarray]:
        log_odds = matrix @ coefficients
        likelihood = churned @ log_expit(log_odds) + (1 - churned) @ log_expit(-log_odds)
        distance = (coefficients - prior) / deviations
        gradient = weight * matrix.T @ (expit(log_odds) - churned) + distance / deviations
        return float(distance @ distance) / 2 - weight * float(likelihood), gradient

    return expit(newest_matrix @ minimize(loss, prior, jac=True, method="L-BFGS-B").x)


def _points(rows: pd.DataFrame, parts: HealthParts) -> np.ndarray:
    """How good each part is, 0 to 1, and NaN where it is not known; shape (rows, parts)."""
    values = np.column_stack([rows[part.signal].to_numpy(dtype="float64", na_value=np.nan) for part in parts.part])
    worst, best = (np.array([getattr(part, end) for part in parts.part]) for end in ("worst", "best"))
    return np.clip((values - worst) / (best - worst), 0, 1)


def _with_intercept(matrix: np.ndarray) -> np.ndarray:
    return np.column_stack([np.ones(len(matrix)), matrix])


def _base_log_odds(rows: pd.DataFrame) -> float:
    return float(logit((rows[CHURNED].sum() + 0.5) / (len(rows) + 1)))
