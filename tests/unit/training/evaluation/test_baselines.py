"""Baselines: simple rules fitted on the training snapshots alone."""

from datetime import datetime

import numpy as np
import pandas as pd
import pytest

from configs.errors import ConfigError
from tests.support.training_rows import snapshots
from training.evaluation.baselines import fit_baselines, health_score, latest_base_rate, logistic_regression
from training.model.churn_model import ModelInput

TRAIN, TEST = snapshots(0.3), snapshots(0.3, seed=1)


def model_input(name: str, kind: str = "number", categories: tuple[str, ...] = ()) -> ModelInput:
    return ModelInput(name, "adoption", name, "", "", kind, actionable=False, categories=categories)


INPUTS = (
    model_input("events_28d"),
    model_input("days_until_renewal"),
    model_input("plan", "category", ("basic", "pro")),
)


def test_a_high_health_score_gives_a_low_risk():
    risks = health_score(TRAIN, TEST, {"events_28d": 1.0}).risks
    assert np.corrcoef(risks, TEST.events_28d)[0, 1] < -0.5
    assert risks.mean() == pytest.approx(TRAIN.churned.mean(), abs=0.02)


def test_a_health_score_weight_of_a_category_is_refused():
    with pytest.raises(ConfigError, match="names 'plan'"):
        fit_baselines(TRAIN, TEST, INPUTS, {"plan": 1.0})


def test_without_weights_there_is_no_health_score():
    names = [baseline.name for baseline in fit_baselines(TRAIN, TEST, INPUTS, {})]
    assert names == ["base rate", "latest base rate", "best single signal (events_28d)", "logistic regression"]


def test_the_latest_base_rate_is_that_of_the_latest_training_day():
    days = [datetime(2023, 1, 1)] * 3 + [datetime(2023, 2, 1)] * 2
    train = pd.DataFrame({"as_of": days, "churned": [0.0, 0.0, 0.0, 1.0, 0.0]})
    assert latest_base_rate(train, train).risks.tolist() == [0.5] * 5


def test_logistic_regression_accepts_gaps_and_new_categories():
    unusual = TEST.assign(plan="unknown", days_until_renewal=np.nan)
    risks = logistic_regression(TRAIN, unusual, INPUTS).risks
    assert ((risks > 0) & (risks < 1)).all()
