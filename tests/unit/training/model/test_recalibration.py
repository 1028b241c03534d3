"""Recalibration: the trees stay the same byte for byte, and no account's drivers change their order."""

from datetime import datetime, timedelta

import numpy as np
import pandas as pd
import pytest

from configs.errors import NothingToLearn
from configs.sections.label import LabelSettings
from tests.support.recalibration_rows import fit_two_horizons, high_churn_rows
from tests.support.training_rows import snapshots
from training.evaluation.baselines import fit_baselines_out_of_fold
from training.model.churn_model import ChurnModel, encode
from training.model.recalibration import (
    days_after_training,
    predict_out_of_fold,
    recalibrate_model,
    thresholds_for_sizes,
)


@pytest.fixture(scope="module")
def model() -> ChurnModel:
    return fit_two_horizons()


@pytest.fixture(scope="module")
def later() -> pd.DataFrame:
    return high_churn_rows()


@pytest.fixture(scope="module")
def recalibrated(model, later) -> ChurnModel:
    return recalibrate_model(model, later, min_churned=20)


def test_it_keeps_the_trees_and_follows_the_churn_rate(model, recalibrated, later):
    matrix = encode(high_churn_rows(seed=6), model.inputs)
    before, after, rate = model.predict_risks(matrix), recalibrated.predict_risks(matrix), later.churned.mean()
    assert recalibrated.booster_text == model.booster_text
    assert abs(after.mean() - rate) < 0.02 < abs(before.mean() - rate)


def test_it_keeps_the_order_of_risks_and_drivers(model, recalibrated, later):
    matrix = encode(later.head(300), model.inputs)
    before, after = model.predict_risks(matrix), recalibrated.predict_risks(matrix)
    assert np.array_equal(model.predict_margins(matrix), recalibrated.predict_margins(matrix))
    assert (np.diff(after[np.argsort(before)]) >= 0).all()
    deltas = model.predict_contributions(matrix).sum(axis=1)
    points = [m.calibrator.points_per_margin(m.base_margin, deltas) for m in (model, recalibrated)]
    assert (np.array(points) > 0).all()
    assert (np.diff(recalibrated.predict_risks_by_horizon(matrix), axis=1) >= 0).all()


def test_churn_of_a_single_fold_cannot_be_evaluated_on_others(model):
    rows = snapshots(0.3, n=40).assign(churned=0.0)
    rows.loc[0, "churned"] = 1.0
    with pytest.raises(NothingToLearn, match="too few have churned, or stayed, to evaluate a calibration"):
        predict_out_of_fold(model, rows)


def test_too_few_labels_are_refused(model):
    with pytest.raises(NothingToLearn, match="at least 20 must have churned"):
        recalibrate_model(model, snapshots(0.3, n=20), min_churned=20)


def flip_first_label(rows: pd.DataFrame) -> pd.DataFrame:
    return rows.assign(churned=rows.churned.where(rows.index != 0, 1 - rows.churned))


def test_out_of_fold_risks_come_from_other_accounts(model, later):
    rows = later.head(600)
    assert predict_out_of_fold(model, rows)[0] == predict_out_of_fold(model, flip_first_label(rows))[0]


def test_out_of_fold_baselines_come_from_other_accounts(model, later):
    rows = later.head(600)
    before, after = (fit_baselines_out_of_fold(part, model.inputs, {}) for part in (rows, flip_first_label(rows)))
    assert [baseline.name for baseline in before] == [baseline.name for baseline in after]
    pairs = [(first.risks, second.risks) for first, second in zip(before, after, strict=True)]
    assert all(first[0] == second[0] for first, second in pairs)
    assert any(not np.array_equal(first, second) for first, second in pairs)


def test_only_days_after_the_last_training_label_are_used():
    days = [datetime(2023, 1, 1) + timedelta(days=30 * n) for n in range(8)]
    label = LabelSettings(horizon_days=60, grace_days=30)
    assert days_after_training(days[:3], days, label) == days[5:]


def test_thresholds_hold_the_requested_number_of_accounts():
    risks = np.linspace(0, 1, 101)
    thresholds = thresholds_for_sizes(risks, (40, 20, 5))
    assert [int((risks >= thresholds[band]).sum()) for band in ("watch", "high", "critical")] == [40, 20, 5]


@pytest.mark.parametrize(
    ("risks", "sizes", "message"),
    [
        (np.linspace(0, 1, 101), (5, 20, 40), "must fall"),
        (np.linspace(0, 1, 101), (200, 20, 5), "starting at 101 accounts at most"),
        (np.full(101, 0.5), (40, 20, 5), "have the same risk"),
    ],
)
def test_impossible_sizes_are_refused(risks, sizes, message):
    with pytest.raises(ValueError, match=message):
        thresholds_for_sizes(risks, sizes)
