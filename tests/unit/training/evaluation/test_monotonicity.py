"""Directions: what was declared holds in the fitted trees, and a model in which it does not is named and refused."""

from dataclasses import asdict, replace

import numpy as np
import pytest

from tests.unit.training.model.test_fit import RECIPE, snapshots
from training.evaluation.monotonicity import broken_directions, swept
from training.model.churn_model import ChurnModel, encode
from training.model.fit import fit
from training.registry.promotion_rules import why_refused


def fitted(direction: int) -> ChurnModel:
    """A model of rows in which events lower the risk, `events_28d` declared with this direction."""
    signals = tuple(replace(one, direction=direction) if one.name == "events_28d" else one for one in RECIPE.signals)
    return fit(snapshots(0.3), snapshots(0.3, seed=1), snapshots(0.3, seed=2), replace(RECIPE, signals=signals))


@pytest.mark.parametrize("direction", [1, -1])
def test_a_declared_direction_holds_whatever_the_data_say(direction):
    model = fitted(direction)
    (found,) = swept(model, encode(snapshots(0.3, seed=3), model.inputs))
    assert (found.name, found.direction, found.snapshots, found.broken) == ("events_28d", direction, 200, 0)
    assert broken_directions((found,)) == []


def test_a_model_that_breaks_a_direction_is_refused_by_the_signals_name():
    free = fitted(0)
    declared = tuple(replace(one, direction=1) if one.name == "events_28d" else one for one in free.inputs)
    planted = replace(free, inputs=declared)
    found = swept(planted, encode(snapshots(0.3, seed=3), planted.inputs))
    assert found[0].broken > 150
    evaluation = {
        "figures": {"auc": 0.8, "auc_low": 0.7},
        "comparisons": {},
        "leakage": {"alarms": ()},
        "directions": [asdict(one) for one in found],
    }
    assert "a higher 'events_28d' lowers the margin of" in why_refused(evaluation)
    assert why_refused({**evaluation, "directions": []}) == ""


def test_only_declared_directions_are_swept():
    model = fitted(0)
    assert swept(model, encode(snapshots(0.3, seed=3), model.inputs)) == ()


def test_a_signal_that_is_never_there_has_nothing_to_break():
    model = fitted(-1)
    matrix = encode(snapshots(0.3, seed=3).assign(events_28d=np.nan), model.inputs)
    assert swept(model, matrix) == ()
