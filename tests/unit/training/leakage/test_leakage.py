"""Leakage: a planted leak is reported by name, and an honest model raises no alarm."""

from dataclasses import replace
from datetime import datetime, timedelta

import numpy as np
import pandas as pd
import pytest

from configs.sections.training import LeakageSettings, TrainingSettings
from tests.support.training_rows import FIT_CONFIG, snapshots
from training.data.time_splits import TimeSplit
from training.evaluation.backtest import fit_split, rows_on
from training.leakage.leakage import (
    LeadData,
    ShuffledLabels,
    SignalAucs,
    auc_by_lead,
    fit_on_shuffled_labels,
    report_leakage,
    single_signal_aucs,
)
from training.model.churn_model import ModelInput, encode

DAYS = [datetime(2023, month, 1) for month in range(1, 4)]
SPLIT = TimeSplit((DAYS[0],), (DAYS[1],), (DAYS[0], DAYS[1]), (DAYS[2],))
SETTINGS = LeakageSettings()
CHANCE = ShuffledLabels(0.5, 0.45, 0.55)


@pytest.fixture
def rows() -> pd.DataFrame:
    parts = [snapshots(0.3, seed=seed).assign(as_of=day) for seed, day in enumerate(DAYS)]
    return pd.concat(parts, ignore_index=True)


@pytest.fixture
def newest(rows) -> pd.DataFrame:
    return rows_on(rows, SPLIT.test)


def number(name: str) -> ModelInput:
    return ModelInput(name, "adoption", name, "", "", "number", actionable=False)


NO_SIGNALS = SignalAucs({}, 100, 900)


def signal_alarms(signal_aucs: SignalAucs) -> tuple[str, ...]:
    return report_leakage(signal_aucs, CHANCE, (), SETTINGS).alarms


def test_a_planted_leak_is_reported_by_name(rows):
    rows["days_until_departure"] = np.where(rows.churned == 1, 30.0, np.nan)
    inputs = (number("events_28d"), number("days_until_departure"))
    (alarm,) = signal_alarms(single_signal_aucs(rows_on(rows, SPLIT.train), rows_on(rows, SPLIT.test), inputs))
    assert "'days_until_departure' alone has an AUC of 1.000" in alarm


def test_many_leaking_signals_are_one_alarm_with_the_strongest_first():
    aucs = {f"s{number}": 0.901 + number / 1_000 for number in range(16)} | {"honest": 0.7}
    (alarm,) = signal_alarms(SignalAucs(aucs, churned=100, stayed=900))
    assert alarm.startswith("the signal 's15' alone has an AUC of 0.916, above 0.9, and so do 's14' (0.915), 's13'")
    assert " and 11 more; a column that its source overwrites" in alarm


def test_honest_signals_raise_no_alarm(rows, newest):
    aucs = single_signal_aucs(rows_on(rows, SPLIT.train), newest, (number("events_28d"),))
    assert 0.55 < aucs.by_name["events_28d"] < 0.8
    assert signal_alarms(aucs) == ()


@pytest.mark.parametrize(
    ("value", "churned", "is_alarm"),
    [(0.92, 5, False), (0.92, 50, True), (1.0, 5, True), (0.95, 9, False), (0.95, 10, True)],
)
def test_a_high_auc_of_few_churned_accounts_may_be_chance(value: float, churned: int, is_alarm: bool):
    """By hand for 0.95 and 10 of 410: Q1 0.9048, Q2 0.9256, standard error 0.0482, so that 0.8053 is the lowest."""
    assert bool(signal_alarms(SignalAucs({"seats": value}, churned, stayed=400))) == is_alarm


def test_a_model_of_shuffled_labels_ranks_by_chance(rows):
    shuffled = fit_on_shuffled_labels(rows, SPLIT, FIT_CONFIG)
    assert shuffled.low < shuffled.auc < shuffled.high < 0.58


def test_a_signal_that_knows_the_churn_rate_of_a_day_is_no_leak(rows):
    busy = rows.assign(as_of=rows.as_of + timedelta(days=10), churned=1 - rows.churned, is_busy=1.0)
    both = pd.concat([rows.assign(is_busy=0.0), busy], ignore_index=True)
    days = [(day, day + timedelta(days=10)) for day in DAYS]
    split = TimeSplit(days[0], days[1], days[0] + days[1], days[2])
    season = replace(FIT_CONFIG.signals[0], name="is_busy", direction=0)
    shuffled = fit_on_shuffled_labels(both, split, replace(FIT_CONFIG, signals=(season,)))
    assert shuffled.auc == 0.5
    assert shuffled.high - shuffled.low < 0.2


def test_a_fit_that_includes_the_test_ranks_even_shuffled_labels(rows):
    leaking = TimeSplit(SPLIT.fit, SPLIT.calibration, (*SPLIT.train, DAYS[2]), SPLIT.test)
    overfitting = TrainingSettings(num_iterations=200, num_leaves=60, min_data_in_leaf=5, lambda_l2=0)
    shuffled = fit_on_shuffled_labels(rows, leaking, replace(FIT_CONFIG, training=overfitting))
    (alarm,) = report_leakage(NO_SIGNALS, shuffled, (), SETTINGS).alarms
    assert "shuffled labels" in alarm


def lead_data(rows: pd.DataFrame, days_left: np.ndarray, risks: np.ndarray, **signal_risks: np.ndarray) -> LeadData:
    return LeadData(rows.account_id.to_numpy(dtype="str"), rows.churned.to_numpy(), days_left, risks, signal_risks)


def test_an_honest_model_fades_with_the_lead_without_an_alarm(rows, newest):
    model = fit_split(rows, SPLIT, FIT_CONFIG)
    days_left = np.where(newest.churned == 1, np.arange(len(newest)) % 60, np.nan)
    risks = model.predict_risks(encode(newest, model.inputs))
    leads = auc_by_lead(lead_data(newest, days_left, risks), SETTINGS.lead_days)
    assert [lead.lead_days for lead in leads] == [0, 7, 14, 30]
    assert report_leakage(NO_SIGNALS, CHANCE, leads, SETTINGS).alarms == ()


def test_a_signal_that_knows_departures_raises_an_alarm(newest):
    order = np.arange(len(newest))
    days_left = np.where(newest.churned == 1, np.where(order % 2, 3, 40), np.nan)
    risks = np.where(days_left < 7, 0.9, 0.1 + order % 7 / 100)
    signals = {"notice_flag": (days_left < 7) * 1.0, "events_28d": -newest.events_28d.to_numpy()}
    leads = auc_by_lead(lead_data(newest, days_left, risks, **signals), SETTINGS.lead_days)
    (alarm,) = report_leakage(NO_SIGNALS, CHANCE, leads, SETTINGS).alarms
    assert "the AUC drops suddenly" in alarm
    assert "at a lead of 0 days" in alarm
    assert "'notice_flag' alone drops most" in alarm
