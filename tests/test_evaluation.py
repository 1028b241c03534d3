"""Evaluation: figures with known answers."""

import numpy as np
import pytest

from training.evaluation import calibration_table, evaluate, lift, rate_interval

CHURNED = np.array([1.0, 1.0] + [0.0] * 18)


def test_the_lift_of_equal_risks_is_one():
    assert lift(CHURNED, np.full(20, 0.3)) == pytest.approx(1.0)


def test_the_lift_of_perfect_risks_is_the_most_possible():
    assert lift(CHURNED, np.linspace(1, 0, 20)) == pytest.approx(10.0)


def test_the_lift_counts_ties_at_the_edge_in_proportion():
    risks = np.array([0.9] + [0.5] * 4 + [0.1] * 15)
    # One of two places goes to the first churner, the other to one of four of which one churned.
    assert lift(CHURNED, risks) == pytest.approx((1 + 1 / 4) / 2 / 0.1)


def test_the_lift_does_not_depend_on_the_order_of_rows():
    generator = np.random.default_rng(1)
    risks, order = generator.integers(0, 5, 20) / 5, generator.permutation(20)
    assert lift(CHURNED, risks) == pytest.approx(lift(CHURNED[order], risks[order]))


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
    assert evaluate(churned, risks).is_calibrated
    assert not evaluate(churned, risks / 3).is_calibrated
