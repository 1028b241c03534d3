"""Evaluation: figures with known answers."""

import numpy as np

from configs.settings import EvaluationSettings
from training.evaluation.scorecard import Cases, calibration_table, evaluate, rate_interval

SETTINGS = EvaluationSettings()
CHURNED = np.array([1.0, 1.0] + [0.0] * 18)


def test_a_rate_has_wilsons_interval():
    interval = rate_interval(10, 100)
    assert (interval.value, round(interval.low, 4), round(interval.high, 4)) == (0.1, 0.0552, 0.1744)


def test_the_calibration_table_holds_every_snapshot_once():
    table = calibration_table(CHURNED, np.linspace(1, 0, 20), groups=4)
    assert (table.snapshots.sum(), table.churned.sum()) == (20, 2)
    assert table.mean_risk.is_monotonic_increasing


def test_equal_risks_share_a_row_of_the_calibration_table():
    assert len(calibration_table(CHURNED, np.full(20, 0.3))) == 1


def test_risks_that_are_true_are_called_calibrated():
    generator = np.random.default_rng(0)
    risks = generator.beta(1, 9, 4000)
    churned = (generator.random(4000) < risks).astype(float)
    assert evaluate(Cases(churned), risks, SETTINGS).is_calibrated
    assert not evaluate(Cases(churned), risks / 3, SETTINGS).is_calibrated


def test_an_account_seen_many_times_does_not_narrow_the_interval():
    generator = np.random.default_rng(0)
    risks = generator.beta(1, 4, 300)
    churned = (generator.random(300) < risks).astype(float)
    once = evaluate(Cases(churned), risks, SETTINGS).auc
    accounts = np.tile(np.arange(300), 4)
    four_times = evaluate(Cases(np.tile(churned, 4), accounts), np.tile(risks, 4), SETTINGS).auc
    as_rows = evaluate(Cases(np.tile(churned, 4)), np.tile(risks, 4), SETTINGS).auc
    assert (four_times.low, four_times.high) == (once.low, once.high)
    assert as_rows.high - as_rows.low < 0.7 * (once.high - once.low)


def test_the_team_calls_its_capacity_on_each_day_however_high_the_risks_of_another():
    churned = np.array([1.0, 0.0, 0.0, 1.0, 0.0, 0.0])
    risks = np.array([0.9, 0.8, 0.7, 0.3, 0.2, 0.1])
    days, revenue = np.repeat([0, 1], 3), np.array([10.0, 0, 0, 30, 0, 0])
    one_call = SETTINGS.model_copy(update={"capacity": 1})
    each_day = evaluate(Cases(churned, revenue=revenue, as_of=days), risks, one_call)
    assert (each_day.precision_at_capacity.value, each_day.revenue_at_capacity.value) == (1, 1)
    one_day = evaluate(Cases(churned, revenue=revenue), risks, one_call)
    assert (one_day.precision_at_capacity.value, one_day.revenue_at_capacity.value) == (1, 0.25)


def test_a_figure_that_cannot_be_told_is_left_out():
    figures = evaluate(Cases(CHURNED), np.full(20, 0.1), SETTINGS).figures()
    assert "calibration_slope" not in figures
    assert figures["auc"] == 0.5
