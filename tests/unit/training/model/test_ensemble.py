"""Larger trees are taken only if the small ones were used up and later days gain by it."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from scipy.special import expit

from configs.sections.training import TrainingSettings
from tests.support.training_rows import FIT_CONFIG, snapshots
from training.model.ensemble import FittedEnsemble, fit_with_early_stopping, refit
from training.model.fit import build_inputs

SIGNALS = [replace(FIT_CONFIG.signals[0], name=f"x{number}", direction=0) for number in range(4)]
FEW_TREES = TrainingSettings(num_iterations=70, learning_rate=0.1, linear_prior_sd=0, feature_fraction=1.0)


def deep_rows(seed: int, n: int = 6_000) -> pd.DataFrame:
    """Churn rises with four signals, and with all four together: more than trees of four leaves hold."""
    draw = np.random.default_rng(seed)
    values = draw.normal(size=(n, 4))
    churned = draw.random(n) < expit(values.sum(axis=1) - 2 + 5 * (values > 0).all(axis=1))
    columns = {f"x{number}": values[:, number] for number in range(4)}
    return pd.DataFrame({"account_id": np.arange(n).astype(str), "churned": churned * 1.0, **columns})


def fit(training: TrainingSettings) -> FittedEnsemble:
    inputs = build_inputs(SIGNALS, deep_rows(0))
    return fit_with_early_stopping(deep_rows(0), inputs, training, deep_rows(1))


@pytest.mark.slow
def test_leaves_are_doubled_while_all_trees_are_used_up_and_later_days_gain():
    assert fit(FEW_TREES).num_leaves >= 8


@pytest.mark.parametrize("limit", [4, 8])
def test_leaves_stay_within_their_limit(limit: int):
    assert fit(FEW_TREES.model_copy(update={"max_num_leaves": limit})).num_leaves <= limit


def test_the_refitted_trees_have_as_many_leaves():
    fitted = fit(FEW_TREES)
    rows = deep_rows(2)
    final = refit(rows, build_inputs(SIGNALS, rows), FEW_TREES, like=fitted)
    assert (final.num_leaves, final.num_trees) == (fitted.num_leaves, fitted.num_trees)


def test_small_trees_stay_where_there_is_nothing_more_to_learn():
    rows, later = snapshots(0.3), snapshots(0.3, seed=1)
    inputs = build_inputs(FIT_CONFIG.signals, rows)
    assert fit_with_early_stopping(rows, inputs, TrainingSettings(), later).num_leaves == 4
