"""Trees: a LightGBM booster grown on snapshots, the same to the byte for the same rows and settings."""

from typing import Any

import lightgbm
import numpy as np
import pandas as pd

from configs.settings import TrainingSettings
from training.model import Input, encode
from training.panel import CHURNED

MANY_CELLS = 20_000_000


def grow(rows: pd.DataFrame, inputs: tuple[Input, ...], training: TrainingSettings) -> lightgbm.Booster:
    """The booster of these snapshots; a signal with a direction can only move the margin in it."""
    matrix = encode(rows, inputs)
    data = lightgbm.Dataset(
        matrix,
        rows[CHURNED].to_numpy(),
        feature_name=[one.name for one in inputs],
        categorical_feature=[one.name for one in inputs if one.kind == "category"],
    )
    return lightgbm.train(_parameters(inputs, training, matrix.size), data, num_boost_round=training.trees)


def raw_margins(booster: lightgbm.Booster, matrix: np.ndarray) -> np.ndarray:
    """The booster's margin of each row of an encoded matrix."""
    return np.asarray(booster.predict(matrix, raw_score=True))


def _parameters(inputs: tuple[Input, ...], training: TrainingSettings, cells: int) -> dict[str, Any]:
    return {
        "objective": "binary",
        "num_leaves": training.leaves,
        "learning_rate": training.learning_rate,
        "min_data_in_leaf": training.smallest_leaf,
        "feature_fraction": training.signal_share,
        "bagging_fraction": training.row_share,
        "bagging_freq": 1,
        "lambda_l2": training.ridge,
        "monotone_constraints": [one.direction for one in inputs],
        "seed": training.seed,
        # On little data, threads that share their cores with anything else only wait for each other.
        "num_threads": training.threads if cells > MANY_CELLS else 1,
        "deterministic": True,
        "force_row_wise": True,
        "verbose": -1,
    }
