"""Booster: later days decide how many trees there are, and the number of trees alone decides what they are."""

import numpy as np

from tests.support.training_rows import FIT_CONFIG, snapshots
from training.model.booster import fit_booster, fit_booster_with_early_stopping, predict_margins
from training.model.churn_model import encode
from training.model.fit import build_inputs

INPUTS = build_inputs(FIT_CONFIG.signals, snapshots(0.3))
TRAINING = FIT_CONFIG.training.model_copy(update={"num_iterations": 300, "learning_rate": 0.1})


def test_early_stopping_ends_when_more_trees_only_fit_noise():
    booster, best = fit_booster_with_early_stopping(snapshots(0.3), INPUTS, TRAINING, snapshots(0.3, seed=1))
    assert best < booster.num_trees() <= best + 60 < 300


def test_the_best_trees_equal_a_booster_of_that_size():
    rows, later = snapshots(0.3), snapshots(0.3, seed=1)
    booster, best = fit_booster_with_early_stopping(rows, INPUTS, TRAINING, later)
    matrix = encode(later, INPUTS)
    smaller = fit_booster(rows, INPUTS, TRAINING, best)
    assert smaller.num_trees() == best
    assert np.array_equal(predict_margins(booster, matrix, best), predict_margins(smaller, matrix, best))


def test_without_anything_to_learn_there_are_hardly_any_trees():
    rows = snapshots(0.3)
    noise = rows.assign(events_28d=np.nan, plan="basic", churned=rows.churned.sample(frac=1, random_state=0).to_numpy())
    later = snapshots(0.3, seed=1).assign(events_28d=np.nan, plan="basic")
    _, best = fit_booster_with_early_stopping(noise, INPUTS, TRAINING, later)
    assert best <= 30
