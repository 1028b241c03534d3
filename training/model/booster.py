"""Booster: LightGBM trees fitted on snapshots, the same to the byte for the same rows and settings.

The number of trees is chosen on later days (early stopping: Prechelt, 1998), by the log loss of their margins there.
Before each check the intercept is fitted to those days, because churn rates change with the season and the calibrator
sets the intercept anyway. The slope is not fitted: a few trees would then seem as good as many, and would be worse
after the refit.
"""

import lightgbm
import numpy as np
import pandas as pd
from scipy.optimize import minimize_scalar

from configs.sections.training import TrainingSettings
from training.calibration.calibrator_fit import log_loss_of_log_odds
from training.labels.definition import CHURNED
from training.model.churn_model import ModelInput, encode

ROW_WISE_MIN_CELLS = 20_000_000
ITERATIONS_PER_CHECK = 10
# How many iterations without a gain stop the fit, times the learning rate.
PATIENCE = 1.8
MAX_INTERCEPT = 5.0
# Margins have no noise, so larger steps and leaves do no harm.
MARGIN_TREES = 300
MARGIN_PARAMETERS = {"objective": "regression", "num_leaves": 8, "learning_rate": 0.1}


def fit_booster(
    rows: pd.DataFrame, inputs: tuple[ModelInput, ...], training: TrainingSettings, num_iterations: int
) -> lightgbm.Booster:
    """A booster fitted on these snapshots; a signal with a direction can only move the margin that way."""
    booster = _new_booster(rows, inputs, training)
    _boost(booster, num_iterations)
    return booster


def fit_booster_with_early_stopping(
    rows: pd.DataFrame, inputs: tuple[ModelInput, ...], training: TrainingSettings, later: pd.DataFrame
) -> tuple[lightgbm.Booster, int]:
    """A booster fitted on these snapshots, and the number of its trees with the lowest log loss on the later ones."""
    booster, matrix, churned = _new_booster(rows, inputs, training), encode(later, inputs), later[CHURNED].to_numpy()
    margins = np.zeros(len(later))
    losses: dict[int, float] = {}
    best = iteration = 0
    while iteration < training.num_iterations and iteration - best < patience(training):
        is_finished = _boost(booster, min(ITERATIONS_PER_CHECK, training.num_iterations - iteration))
        margins += np.asarray(booster.predict(matrix, raw_score=True, start_iteration=iteration))
        iteration = booster.current_iteration()
        losses[iteration] = _loss_at_best_intercept(margins, churned)
        best = min(losses, key=lambda count: losses[count])
        if is_finished:
            break
    return booster, best


def fit_booster_to_margins(
    matrix: np.ndarray, margins: np.ndarray, inputs: tuple[ModelInput, ...], training: TrainingSettings
) -> lightgbm.Booster:
    """A booster whose margins are near the given ones; a signal with a direction can only move them that way."""
    parameters = _parameters(inputs, training, matrix.size) | MARGIN_PARAMETERS
    booster = lightgbm.Booster(parameters, _dataset(matrix, margins, inputs, parameters))
    _boost(booster, MARGIN_TREES)
    return booster


def patience(training: TrainingSettings) -> float:
    """How many iterations without a gain stop the fit."""
    return PATIENCE / training.learning_rate


def predict_margins(booster: lightgbm.Booster, matrix: np.ndarray, num_trees: int) -> np.ndarray:
    """The margin of each row of an encoded matrix by the first trees."""
    return np.asarray(booster.predict(matrix, raw_score=True, num_iteration=num_trees))


def _new_booster(rows: pd.DataFrame, inputs: tuple[ModelInput, ...], training: TrainingSettings) -> lightgbm.Booster:
    matrix = encode(rows, inputs)
    parameters = _parameters(inputs, training, matrix.size)
    return lightgbm.Booster(parameters, _dataset(matrix, rows[CHURNED].to_numpy(), inputs, parameters))


def _dataset(
    matrix: np.ndarray, target: np.ndarray, inputs: tuple[ModelInput, ...], parameters: dict[str, object]
) -> lightgbm.Dataset:
    return lightgbm.Dataset(
        matrix,
        target,
        feature_name=[signal.name for signal in inputs],
        categorical_feature=[signal.name for signal in inputs if signal.kind == "category"],
        params=parameters,
    )


def _boost(booster: lightgbm.Booster, iterations: int) -> bool:
    """Add so many trees; returns whether there was nothing left to split."""
    return any(booster.update() for _ in range(iterations))


def _loss_at_best_intercept(margins: np.ndarray, churned: np.ndarray) -> float:
    result = minimize_scalar(
        lambda intercept: log_loss_of_log_odds(margins + intercept, churned),
        bounds=(-MAX_INTERCEPT, MAX_INTERCEPT),
        method="bounded",
    )
    return float(result.fun)


def _parameters(inputs: tuple[ModelInput, ...], training: TrainingSettings, cells: int) -> dict[str, object]:
    is_large = cells > ROW_WISE_MIN_CELLS
    return {
        "objective": "binary",
        "num_leaves": training.num_leaves,
        "learning_rate": training.learning_rate,
        "min_data_in_leaf": training.min_data_in_leaf,
        "feature_fraction": training.feature_fraction,
        "bagging_fraction": training.bagging_fraction,
        "bagging_freq": 1,
        "lambda_l2": training.lambda_l2,
        "path_smooth": training.path_smooth,
        "monotone_constraints": [signal.direction for signal in inputs],
        "seed": training.seed,
        # On little data, threads that share their cores with other processes only wait for each other.
        "num_threads": training.threads if is_large else 1,
        "deterministic": True,
        # Measured with 230 signals and one thread: on 9,000 snapshots column-wise takes two thirds of the time, on
        # 100,000 row-wise is a seventh faster.
        "force_row_wise" if is_large else "force_col_wise": True,
        "verbose": -1,
    }
