"""Promotion rules: what keeps a version from becoming champion."""

from dataclasses import replace

import pytest

from training.evaluation.monotonicity import MonotonicityCheck
from training.evaluation.paired_difference import BaselineComparison
from training.evaluation.scorecard import Interval
from training.registry.comparison_record import LastComparison, Verdict
from training.registry.evaluation_record import EvaluationRecord
from training.registry.mlflow_registry import open_registry
from training.registry.promotion_rules import comparison_refusal_reason, refusal_reason, skill_faults


@pytest.fixture
def evaluation(trained) -> EvaluationRecord:
    registry = open_registry(trained.state, trained.settings.name)
    return registry.evaluation(registry.get(1))


@pytest.mark.parametrize(
    ("auc_low", "high", "reason"),
    [
        (0.49, -0.1, "no better than the base rate"),
        (0.6, 0.001, "its log loss is not significantly below that of the base rate"),
        (0.6, 0.001, "no better than the base rate"),
        (0.6, -0.001, ""),
    ],
)
def test_a_model_must_beat_some_baselines(auc_low, high, reason):
    comparisons = {"the base rate": BaselineComparison(Interval(-0.1, -0.2, high), must_be_beaten=True)}
    faults = "; ".join(skill_faults({"auc": 0.7, "auc_low": auc_low}, comparisons))
    assert (reason in faults, bool(faults)) == (True, bool(reason))


@pytest.mark.parametrize(
    ("low", "faults"),
    [
        (0.001, ["a rule has a significantly lower log loss: the model's is +0.1000 [+0.0010, +0.2000] higher"]),
        (-0.001, []),
    ],
)
def test_a_model_must_not_be_worse_than_other_baselines(low, faults):
    comparisons = {"a rule": BaselineComparison(Interval(0.1, low, 0.2), must_be_beaten=False)}
    assert skill_faults({"auc": 0.7, "auc_low": 0.6}, comparisons) == faults


def test_a_good_model_is_not_refused(evaluation):
    assert refusal_reason(evaluation) == ""


def test_a_leak_refuses_a_good_model(evaluation):
    alarm = "the signal 'x' alone has an AUC of 0.990, above 0.9"
    assert refusal_reason(replace(evaluation, leakage=replace(evaluation.leakage, alarms=(alarm,)))) == alarm


def test_a_broken_direction_refuses_a_good_model(evaluation):
    check = MonotonicityCheck("events_28d", direction=1, snapshots=200, violated=150, max_violation=0.5)
    assert "a higher 'events_28d' lowers the margin of 150" in refusal_reason(
        replace(evaluation, monotonicity=(check,))
    )


@pytest.mark.parametrize(
    ("verdict", "reason"),
    [
        ("superior", ""),
        ("non_inferior", ""),
        ("inferior", "it is inferior to the champion, version 1: why"),
        ("not_comparable", "it cannot be compared with the champion, version 1: why"),
    ],
)
def test_a_version_has_to_be_as_good_as_the_champion(verdict: Verdict, reason):
    assert (
        comparison_refusal_reason(LastComparison(compared_with=1, verdict=verdict, reason="why"), champion=1) == reason
    )


def test_a_comparison_with_another_version_does_not_count():
    comparison = LastComparison(compared_with=1, verdict="superior", reason="why")
    assert "never compared with the champion, version 2" in comparison_refusal_reason(comparison, champion=2)
