"""Baselines: simple rules fitted on what was known alone, and whether a model beats them for sure."""

from datetime import datetime

import numpy as np
import pandas as pd
import pytest

from configs.errors import ConfigError
from configs.settings import EvaluationSettings
from tests.unit.training.model.test_fit import snapshots
from training.evaluation.baselines import baselines, health_score, logistic_regression, newest_base_rate
from training.evaluation.paired_difference import by_segment, log_loss_gained
from training.evaluation.scorecard import Cases
from training.model.churn_model import Input
from training.registry.promotion_rules import no_skill, why_refused

SETTINGS = EvaluationSettings()
KNOWN, TEST = snapshots(0.3), snapshots(0.3, seed=1)
CHURNED = TEST.churned.to_numpy()


def named(name: str, kind: str = "number", categories: tuple[str, ...] = ()) -> Input:
    return Input(name, "adoption", name, "", "", kind, actionable=False, categories=categories)


INPUTS = (named("events_28d"), named("days_until_renewal"), named("plan", "category", ("basic", "pro")))


def gained(risks: np.ndarray, rival: np.ndarray) -> tuple[float, float]:
    found = log_loss_gained(Cases(CHURNED), risks, rival, SETTINGS)
    return found.low, found.high


def test_a_healthy_score_gives_a_low_risk():
    risks = health_score(KNOWN, TEST, {"events_28d": 1.0}).risks
    assert np.corrcoef(risks, TEST.events_28d)[0, 1] < -0.5
    assert risks.mean() == pytest.approx(KNOWN.churned.mean(), abs=0.02)


def test_a_health_score_of_what_is_no_number_is_refused():
    with pytest.raises(ConfigError, match="names 'plan'"):
        baselines(KNOWN, TEST, INPUTS, {"plan": 1.0})


def test_without_weights_there_is_no_health_score():
    names = [one.name for one in baselines(KNOWN, TEST, INPUTS, {})]
    assert names == ["base rate", "newest base rate", "one signal (events_28d)", "logistic regression"]


def test_the_newest_base_rate_is_that_of_the_newest_day_known():
    days = [datetime(2023, 1, 1)] * 3 + [datetime(2023, 2, 1)] * 2
    known = pd.DataFrame({"as_of": days, "churned": [0.0, 0.0, 0.0, 1.0, 0.0]})
    assert newest_base_rate(known, known).risks.tolist() == [0.5] * 5


def test_a_logistic_regression_bears_gaps_and_categories_it_never_saw():
    strange = TEST.assign(plan="unheard of", days_until_renewal=np.nan)
    assert (((risks := logistic_regression(KNOWN, strange, INPUTS).risks) > 0) & (risks < 1)).all()


def test_better_risks_gain_for_sure_and_equal_ones_do_not():
    better = logistic_regression(KNOWN, TEST, INPUTS).risks
    flat = np.full(len(TEST), CHURNED.mean())
    assert gained(better, flat)[1] < 0
    assert gained(flat, better)[0] > 0
    assert gained(better, better) == (0.0, 0.0)


def test_a_segment_without_both_answers_is_left_out():
    segments = np.where(CHURNED == 0, "loyal", "gone").astype(object)
    segments[:500], segments[-1] = "mixed", None
    found = by_segment(Cases(CHURNED), np.full(len(CHURNED), 0.3), segments, SETTINGS)
    assert {name: one.snapshots for name, one in found.items()} == {"mixed": 500}


@pytest.mark.parametrize(
    ("auc_low", "high", "why"),
    [
        (0.49, -0.1, "no better than the base rate"),
        (0.6, 0.001, "cannot be told from that of the base rate"),
        (0.6, 0.001, "no better than the base rate"),
        (0.6, -0.001, ""),
    ],
)
def test_a_model_needs_to_beat_for_sure_what_must_be_beaten(auc_low, high, why):
    rival = {"the base rate": {"value": -0.1, "low": -0.2, "high": high, "must_be_beaten": True}}
    told = no_skill({"figures": {"auc": 0.7, "auc_low": auc_low}, "comparisons": rival})
    assert (why in told, bool(told)) == (True, bool(why))


@pytest.mark.parametrize(("low", "why"), [(0.001, "logistic regression is truer"), (-0.001, "")])
def test_a_model_must_not_lose_for_sure_to_what_need_not_be_beaten(low, why):
    rival = {"logistic regression": {"value": 0.1, "low": low, "high": 0.2, "must_be_beaten": False}}
    told = no_skill({"figures": {"auc": 0.7, "auc_low": 0.6}, "comparisons": rival})
    assert (why in told, bool(told)) == (True, bool(why))


def test_a_leak_refuses_a_model_that_beats_everything():
    alarm = "the signal 'x' alone has an AUC of 0.990, above 0.9"
    said = {"figures": {"auc": 0.9, "auc_low": 0.8}, "comparisons": {}, "leakage": {"alarms": [alarm]}}
    assert why_refused(said) == alarm


def test_an_evaluation_without_comparisons_is_refused():
    assert "train again" in why_refused({"figures": {"auc": 0.9, "auc_low": 0.8}})
