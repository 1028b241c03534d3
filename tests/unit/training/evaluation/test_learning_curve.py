"""Learning curve: models of quarters and halves of the accounts, and what more months would bring."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from tests.support.backtest_rows import DAYS, FIT_CONFIG, SETTINGS
from training.evaluation.backtest import BacktestFold, backtest_splits, evaluate_fold, fit_split
from training.evaluation.learning_curve import LearningCurve, forecast_change, measure_learning_curve
from training.evaluation.paired_difference import mean_log_loss
from training.evaluation.scorecard import Interval
from training.labels.definition import CHURNED
from training.model.churn_model import encode
from training.model.recalibration import assign_folds

SPLIT = backtest_splits(DAYS, SETTINGS)[0]


@pytest.fixture(scope="module")
def newest(rows) -> BacktestFold:
    return evaluate_fold(fit_split(rows, SPLIT, FIT_CONFIG), rows, SPLIT, SETTINGS)


def test_a_point_is_the_mean_loss_of_models_of_each_part(rows, newest):
    curve = measure(newest, rows)
    assert [point.share for point in curve.points] == [0.25, 0.5]
    half = curve.points[1].metrics["log_loss"]
    losses = [_loss_of_part(rows[assign_folds(rows, 2) == part], newest) for part in range(2)]
    assert half.challenger == pytest.approx(np.mean(losses), abs=1e-12)
    assert half.difference.low < half.difference.value < half.difference.high
    assert half.difference.value == pytest.approx(np.mean(losses) - mean_log_loss(_churned(newest), newest.risks))


def test_six_months_bring_as_many_departures_as_the_training_days_had(rows, newest):
    few = rows.assign(churned=rows.churned.where(rows.account_id.astype(int) % 3 == 0, 0.0))
    curve = measure(newest, few)
    train = few[few.as_of.isin(SPLIT.train) & (few.churned == 1)]
    days = (SPLIT.train[-1] - SPLIT.train[0]).days + 30
    assert curve.departed == train.account_id.nunique()
    assert curve.points[-1].departed == round(curve.departed / 2)
    assert curve.forecast is not None
    assert curve.forecast.departed == round(curve.departed * 182.625 / days)


def test_too_few_departures_for_half_of_the_accounts_give_a_reason(rows, newest):
    few = rows.assign(churned=rows.churned.where(rows.account_id.astype(int) % 20 == 0, 0.0))
    curve = measure(newest, few)
    assert (curve.points, curve.forecast) == ((), None)
    assert "at least 20 are needed" in curve.unavailable


def test_quarters_too_small_leave_the_halves(rows, newest):
    on_fit_day = rows.as_of.isin(SPLIT.fit) & (assign_folds(rows, 4) == 1)
    without = rows.assign(churned=rows.churned.where(~on_fit_day, 0.0))
    curve = measure(newest, without)
    assert ([point.share for point in curve.points], curve.unavailable) == ([0.5], "")


def test_a_curve_that_is_not_asked_for_is_not_measured(rows, newest):
    evaluation = SETTINGS.evaluation.model_copy(update={"learning_curve": False})
    settings = SETTINGS.model_copy(update={"evaluation": evaluation})
    assert measure_learning_curve(newest, rows, FIT_CONFIG, settings) is None


@pytest.mark.parametrize("growth", [0.1, 0.33, 1.0, 3.0])
def test_more_departures_gain_more_each_less_than_the_last(growth):
    half = Interval(0.004, 0.001, 0.007)
    change = forecast_change(half, growth)
    assert change.low < change.value < change.high < 0
    later, last = forecast_change(half, growth + 0.1).value, forecast_change(half, growth + 0.2).value
    assert last < later < change.value
    assert later - last < change.value - later


def test_twice_the_departures_gain_what_halves_lose_by_the_power_law():
    change = forecast_change(Interval(0.004, 0.001, 0.007), growth=1)
    assert change.value == pytest.approx(-0.004 / 2**0.75)
    assert (change.low, change.high) == pytest.approx((-0.007 / 2**0.5, -0.001 / 2))


def test_a_loss_that_may_be_none_may_gain_nothing():
    change = forecast_change(Interval(0.002, -0.001, 0.005), growth=0.3)
    assert change.low < 0 < change.high


def measure(newest: BacktestFold, rows: pd.DataFrame) -> LearningCurve:
    curve = measure_learning_curve(newest, rows, FIT_CONFIG, SETTINGS)
    assert curve is not None
    return curve


def _loss_of_part(part: pd.DataFrame, newest: BacktestFold) -> float:
    model = fit_split(part, SPLIT, replace(FIT_CONFIG, horizons=()))
    return mean_log_loss(_churned(newest), model.predict_risks(encode(newest.test, model.inputs)))


def _churned(newest: BacktestFold) -> np.ndarray:
    return newest.test[CHURNED].to_numpy()
