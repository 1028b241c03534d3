"""Trees: later days say how many are kept, and what is kept is the same however it was reached."""

import numpy as np

from tests.unit.training.model.test_fit import RECIPE, snapshots
from training.model.booster import grow, grow_until_truest, margins_of
from training.model.churn_model import encode
from training.model.fit import inputs_of

INPUTS = inputs_of(RECIPE.signals, snapshots(0.3))
TRAINING = RECIPE.training.model_copy(update={"num_iterations": 300, "learning_rate": 0.1})


def test_growing_stops_where_more_trees_only_learn_noise():
    booster, kept = grow_until_truest(snapshots(0.3), INPUTS, TRAINING, snapshots(0.3, seed=1))
    assert kept < booster.num_trees() <= kept + 60 < 300


def test_the_trees_that_are_kept_are_those_of_a_booster_that_never_had_more():
    early, later = snapshots(0.3), snapshots(0.3, seed=1)
    booster, kept = grow_until_truest(early, INPUTS, TRAINING, later)
    matrix = encode(later, INPUTS)
    alone = grow(early, INPUTS, TRAINING, kept)
    assert alone.num_trees() == kept
    assert np.array_equal(margins_of(booster, matrix, kept), margins_of(alone, matrix, kept))


def test_where_there_is_nothing_to_learn_hardly_a_tree_is_kept():
    rows = snapshots(0.3)
    noise = rows.assign(events_28d=np.nan, plan="basic", churned=rows.churned.sample(frac=1, random_state=0).to_numpy())
    _, kept = grow_until_truest(noise, INPUTS, TRAINING, snapshots(0.3, seed=1).assign(events_28d=np.nan, plan="basic"))
    assert kept <= 30
