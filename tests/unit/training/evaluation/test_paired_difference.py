"""Paired differences: better risks differ significantly from worse ones, and equal risks do not differ."""

import numpy as np

from configs.sections.evaluation import EvaluationSettings
from tests.support.training_rows import snapshots
from training.evaluation.paired_difference import (
    PairedRisks,
    compare_risks,
    evaluate_segments,
    log_loss_difference,
)
from training.evaluation.scorecard import EvaluationData

SETTINGS = EvaluationSettings()
ROWS = snapshots(0.3, seed=1)
CHURNED = ROWS.churned.to_numpy()
BASE_RATE = np.full(len(CHURNED), CHURNED.mean())


def interval(risks: np.ndarray, other: np.ndarray) -> tuple[float, float]:
    difference = log_loss_difference(EvaluationData(CHURNED), risks, other, SETTINGS)
    return difference.low, difference.high


def test_the_log_loss_of_better_risks_is_significantly_lower():
    true_risks = np.clip(0.6 / (1 + ROWS.events_28d.to_numpy() / 50), 0, 1)
    assert interval(true_risks, BASE_RATE)[1] < 0
    assert interval(BASE_RATE, true_risks)[0] > 0
    assert interval(true_risks, true_risks) == (0.0, 0.0)


def test_a_segment_with_one_outcome_only_has_no_scorecard():
    segments = np.where(CHURNED == 0, "loyal", "lost").astype(object)
    segments[:500], segments[-1] = "mixed", None
    scorecards = evaluate_segments(EvaluationData(CHURNED), BASE_RATE, segments, SETTINGS)
    assert {name: scorecard.snapshots for name, scorecard in scorecards.items()} == {"mixed": 500}


def test_the_same_risks_differ_in_no_metric():
    data = EvaluationData(CHURNED, revenue=np.ones(len(CHURNED)))
    metrics = compare_risks(PairedRisks(data, BASE_RATE, BASE_RATE), EvaluationSettings(bootstrap_samples=20))
    assert set(metrics) == {"log_loss", "auc", "average_precision", "revenue_at_capacity", "calibration_error"}
    assert {(metric.difference.low, metric.difference.high) for metric in metrics.values()} == {(0.0, 0.0)}
