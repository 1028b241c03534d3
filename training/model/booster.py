"""Trees: a LightGBM booster grown on snapshots, the same to the byte for the same rows and settings.

How many trees to keep is decided on later days (Prechelt, 1998, on early stopping): the number whose margins are truest
there. Their level is left free: it moves with the seasons, and the calibrator sets it anyway. Their slope is not,
or few trees would do as well as many there and worse once grown again.
"""

from typing import Any

import lightgbm
import numpy as np
import pandas as pd
from scipy.optimize import minimize_scalar

from configs.settings import TrainingSettings
from training.data.training_set import CHURNED
from training.model.calibrator_fit import curve_loss
from training.model.churn_model import Input, encode

MANY_CELLS = 20_000_000
TREES_AT_ONCE = 10
# Trees that may be added in vain before growing stops, times their learning rate.
PATIENCE = 1.8
FARTHEST_LEVEL = 5.0


def grow(rows: pd.DataFrame, inputs: tuple[Input, ...], training: TrainingSettings, trees: int) -> lightgbm.Booster:
    """The booster of these snapshots; a signal with a direction can only move the margin in it."""
    booster = _planted(rows, inputs, training)
    _add(booster, trees)
    return booster


def grow_until_truest(
    rows: pd.DataFrame, inputs: tuple[Input, ...], training: TrainingSettings, later: pd.DataFrame
) -> tuple[lightgbm.Booster, int]:
    """The booster of these snapshots and how many of its trees give the later ones the truest margins."""
    booster, matrix, churned = _planted(rows, inputs, training), encode(later, inputs), later[CHURNED].to_numpy()
    margins = np.zeros(len(later))
    losses: dict[int, float] = {}
    best = 0
    patience = PATIENCE / training.learning_rate
    while booster.current_iteration() < training.num_iterations and booster.current_iteration() - best < patience:
        start = booster.current_iteration()
        is_done = _add(booster, min(TREES_AT_ONCE, training.num_iterations - start))
        margins += np.asarray(booster.predict(matrix, raw_score=True, start_iteration=start))
        losses[booster.current_iteration()] = _loss_at_best_level(margins, churned)
        best = min(losses, key=lambda count: losses[count])
        if is_done:
            break
    return booster, best


def margins_of(booster: lightgbm.Booster, matrix: np.ndarray, trees: int) -> np.ndarray:
    """The margin that the first trees give each row of an encoded matrix."""
    return np.asarray(booster.predict(matrix, raw_score=True, num_iteration=trees))


def _planted(rows: pd.DataFrame, inputs: tuple[Input, ...], training: TrainingSettings) -> lightgbm.Booster:
    matrix = encode(rows, inputs)
    parameters = _parameters(inputs, training, matrix.size)
    data = lightgbm.Dataset(
        matrix,
        rows[CHURNED].to_numpy(),
        feature_name=[one.name for one in inputs],
        categorical_feature=[one.name for one in inputs if one.kind == "category"],
        params=parameters,
    )
    return lightgbm.Booster(parameters, data)


def _add(booster: lightgbm.Booster, trees: int) -> bool:
    """Grow so many trees more; whether nothing is left to split."""
    return any(booster.update() for _ in range(trees))


def _loss_at_best_level(margins: np.ndarray, churned: np.ndarray) -> float:
    found: Any = minimize_scalar(
        lambda level: curve_loss(margins + level, churned), bounds=(-FARTHEST_LEVEL, FARTHEST_LEVEL), method="bounded"
    )
    return float(found.fun)


def _parameters(inputs: tuple[Input, ...], training: TrainingSettings, cells: int) -> dict[str, Any]:
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
        "monotone_constraints": [one.direction for one in inputs],
        "seed": training.seed,
        # On little data, threads that share their cores with anything else only wait for each other.
        "num_threads": training.threads if cells > MANY_CELLS else 1,
        "deterministic": True,
        # Measured with 230 signals and one thread: by columns in two thirds of the time on 9,000 snapshots, by rows a
        # seventh faster on 100,000.
        "force_row_wise" if cells > MANY_CELLS else "force_col_wise": True,
        "verbose": -1,
    }
