"""Scorecard: examples with known values."""

import numpy as np

from configs.sections.evaluation import EvaluationSettings
from training.evaluation.scorecard import EvaluationData, calibration_table, evaluate_risks, wilson_interval

SETTINGS = EvaluationSettings()
CHURNED = np.array([1.0, 1.0] + [0.0] * 18)


def test_a_rate_has_wilsons_interval():
    interval = wilson_interval(10, 100)
    assert (interval.value, round(interval.low, 4), round(interval.high, 4)) == (0.1, 0.0552, 0.1744)


def test_the_calibration_table_has_every_snapshot_once():
    table = calibration_table(CHURNED, np.linspace(1, 0, 20), groups=4)
    assert (table.snapshots.sum(), table.churned.sum()) == (20, 2)
    assert table.mean_risk.is_monotonic_increasing


def test_equal_risks_share_a_row_of_the_calibration_table():
    assert len(calibration_table(CHURNED, np.full(20, 0.3))) == 1


def test_true_risks_are_calibrated():
    generator = np.random.default_rng(0)
    risks = generator.beta(1, 9, 4000)
    churned = (generator.random(4000) < risks).astype(float)
    assert evaluate_risks(EvaluationData(churned), risks, SETTINGS).is_calibrated
    assert not evaluate_risks(EvaluationData(churned), risks / 3, SETTINGS).is_calibrated


def test_repeated_accounts_do_not_narrow_the_interval():
    generator = np.random.default_rng(0)
    risks = generator.beta(1, 4, 300)
    churned = (generator.random(300) < risks).astype(float)
    four_labels, four_risks = np.tile(churned, 4), np.tile(risks, 4)
    once = evaluate_risks(EvaluationData(churned), risks, SETTINGS).auc
    four_times = evaluate_risks(EvaluationData(four_labels, np.tile(np.arange(300), 4)), four_risks, SETTINGS).auc
    unrelated = evaluate_risks(EvaluationData(four_labels), four_risks, SETTINGS).auc
    assert (four_times.low, four_times.high) == (once.low, once.high)
    assert unrelated.high - unrelated.low < 0.7 * (once.high - once.low)


def test_capacity_applies_to_each_day():
    churned = np.array([1.0, 0.0, 0.0, 1.0, 0.0, 0.0])
    risks = np.array([0.9, 0.8, 0.7, 0.3, 0.2, 0.1])
    days, revenue = np.repeat([0, 1], 3), np.array([10.0, 0, 0, 30, 0, 0])
    one_call = SETTINGS.model_copy(update={"capacity": 1})
    two_days = evaluate_risks(EvaluationData(churned, revenue=revenue, as_of=days), risks, one_call)
    assert (two_days.precision_at_capacity.value, two_days.revenue_at_capacity.value) == (1, 1)
    one_day = evaluate_risks(EvaluationData(churned, revenue=revenue), risks, one_call)
    assert (one_day.precision_at_capacity.value, one_day.revenue_at_capacity.value) == (1, 0.25)


def test_an_undefined_metric_is_left_out():
    metrics = evaluate_risks(EvaluationData(CHURNED), np.full(20, 0.1), SETTINGS).metrics()
    assert "calibration_slope" not in metrics
    assert metrics["auc"] == 0.5
