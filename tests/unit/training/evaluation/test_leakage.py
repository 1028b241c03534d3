"""Leakage: a planted leak is found by name, and an honest model raises no alarm."""

from datetime import datetime

import numpy as np
import pandas as pd
import pytest

from configs.settings import LeakageSettings, TrainingSettings
from features.signals.registry import catalogue
from tests.unit.training.model.test_fit import snapshots
from training.data.time_splits import Split
from training.evaluation.backtest import fit_on, on
from training.evaluation.leakage import Shuffled, by_lead, judge_leakage, shuffled_answers, signals_alone
from training.model.churn_model import Input, encode
from training.model.fit import Recipe

DAYS = [datetime(2023, month, 1) for month in range(1, 4)]
SPLIT = Split((DAYS[0],), (DAYS[1],), (DAYS[0], DAYS[1]), (DAYS[2],))
SIGNALS = tuple(one for one in catalogue() if one.name in ("events_28d", "days_until_renewal", "plan"))
RECIPE = Recipe(SIGNALS, TrainingSettings(num_iterations=20, min_data_in_leaf=20), {"horizon_days": 60}, {"label": "x"})
SETTINGS = LeakageSettings()
BY_CHANCE = Shuffled(0.5, 0.45, 0.55)


@pytest.fixture
def rows() -> pd.DataFrame:
    parts = [snapshots(0.3, seed=seed).assign(as_of=day) for seed, day in enumerate(DAYS)]
    return pd.concat(parts, ignore_index=True)


def number(name: str) -> Input:
    return Input(name, "adoption", name, "", "", "number", actionable=False)


def alarms(found: dict[str, float]) -> tuple[str, ...]:
    return judge_leakage(found, BY_CHANCE, (), SETTINGS).alarms


def test_a_planted_leak_is_found_by_name(rows):
    rows["days_until_gone"] = np.where(rows.churned == 1, 30.0, np.nan)
    known, test = on(rows, SPLIT.known), on(rows, SPLIT.test)
    (alarm,) = alarms(signals_alone(known, test, (number("events_28d"), number("days_until_gone"))))
    assert "'days_until_gone' alone has an AUC of 1.000" in alarm


def test_honest_signals_raise_no_alarm(rows):
    found = signals_alone(on(rows, SPLIT.known), on(rows, SPLIT.test), (number("events_28d"),))
    assert 0.55 < found["events_28d"] < 0.8
    assert alarms(found) == ()


def test_a_model_of_shuffled_answers_ranks_by_chance(rows):
    found = shuffled_answers(rows, SPLIT, RECIPE)
    assert found.low < found.auc < found.high
    assert found.high < 0.58


def test_a_fit_that_saw_the_test_ranks_even_shuffled_answers(rows):
    seen = Split(SPLIT.early, SPLIT.calibration, (*SPLIT.known, DAYS[2]), SPLIT.test)
    greedy = Recipe(
        SIGNALS, TrainingSettings(num_iterations=200, num_leaves=60, min_data_in_leaf=5, lambda_l2=0), RECIPE.label, {}
    )
    found = shuffled_answers(rows, seen, greedy)
    (alarm,) = judge_leakage({}, found, (), SETTINGS).alarms
    assert "shuffled answers" in alarm


def test_foresight_fades_without_a_cliff(rows):
    test = on(rows, SPLIT.test)
    model = fit_on(rows, SPLIT, RECIPE)
    days_left = np.where(test.churned == 1, np.arange(len(test)) % 60, np.nan)
    leads = by_lead(test, model.risks(encode(test, model.inputs)), days_left, SETTINGS.lead_days)
    assert [one.lead_days for one in leads] == [0, 7, 14, 30]
    assert judge_leakage({}, BY_CHANCE, leads, SETTINGS).alarms == ()


def test_knowing_only_who_leaves_within_days_is_called_a_cliff(rows):
    test = on(rows, SPLIT.test)
    days_left = np.where(test.churned == 1, np.where(np.arange(len(test)) % 2, 3, 40), np.nan)
    risks = np.where(days_left < 7, 0.9, 0.1 + np.arange(len(test)) % 7 / 100)
    alone = {"notice_flag": (days_left < 7) * 1.0, "events_28d": -test.events_28d.to_numpy()}
    leads = by_lead(test, risks, days_left, SETTINGS.lead_days, alone=alone)
    (alarm,) = judge_leakage({}, BY_CHANCE, leads, SETTINGS).alarms
    assert "falls off a cliff" in alarm
    assert "at a lead of 0 days" in alarm
    assert "'notice_flag' alone loses most" in alarm
