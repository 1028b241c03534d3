"""Monotonicity: declared directions hold in the fitted trees, and a violation names its signal."""

from dataclasses import replace

import numpy as np
import pytest

from tests.support.training_rows import FIT_CONFIG, fit_rows, snapshots
from training.evaluation.monotonicity import check_monotonicity, describe_violations
from training.model.churn_model import ChurnModel, encode
from training.model.fit import fit_churn_model


def fit_with_direction(direction: int) -> ChurnModel:
    """A model of rows in which events lower the risk, with this direction declared for `events_28d`."""
    signals = tuple(
        replace(signal, direction=direction) if signal.name == "events_28d" else signal for signal in FIT_CONFIG.signals
    )
    return fit_churn_model(fit_rows(), replace(FIT_CONFIG, signals=signals))


def matrix_of(model: ChurnModel) -> np.ndarray:
    return encode(snapshots(0.3, seed=3), model.inputs)


@pytest.mark.parametrize("direction", [1, -1])
def test_a_declared_direction_holds_whatever_the_data(direction):
    model = fit_with_direction(direction)
    (check,) = check_monotonicity(model, matrix_of(model))
    assert (check.name, check.direction, check.snapshots, check.violated) == ("events_28d", direction, 200, 0)
    assert describe_violations([check]) == []


def test_a_violated_direction_names_the_signal():
    model = fit_with_direction(0)
    inputs = tuple(replace(signal, direction=1) if signal.name == "events_28d" else signal for signal in model.inputs)
    checks = check_monotonicity(replace(model, inputs=inputs), matrix_of(model))
    assert checks[0].violated > 150
    assert "a higher 'events_28d' lowers the margin of" in describe_violations(checks)[0]


def test_only_declared_directions_are_checked():
    model = fit_with_direction(0)
    assert check_monotonicity(model, matrix_of(model)) == ()


def test_a_signal_without_values_is_not_checked():
    model = fit_with_direction(-1)
    matrix = encode(snapshots(0.3, seed=3).assign(events_28d=np.nan), model.inputs)
    assert check_monotonicity(model, matrix) == ()
