"""Learning curve: how much better a model gets with more accounts to learn from, and what more months would bring.

The accounts are split into quarters and into halves. A model is fitted on each part like the served one, on the same
days, and tested on all accounts of the newest test days. What the parts lose tells what more departures would gain: log
loss falls by a power law of their number (Viering & Loog, 2022, on the shape of learning curves).
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from configs.errors import NothingToLearn
from configs.settings import Settings
from features.tables.contract import ACCOUNT_ID
from training.data.time_splits import TimeSplit
from training.evaluation import metrics
from training.evaluation.backtest import BacktestFold, evaluation_data, fit_split, rows_on
from training.evaluation.paired_difference import PairedMetric, PairedRisks, compare_metrics
from training.evaluation.scorecard import Interval
from training.labels.definition import CHURNED
from training.model.churn_model import encode
from training.model.fit import FitConfig, require_enough_churned
from training.model.recalibration import assign_folds

PARTS = (4, 2)
MONTHS = 6
DAYS_PER_MONTH = 365.25 / 12
# Estimation error falls with the number of examples if the model has the right form, and with its square root if not.
EXPONENT, EXPONENTS = 0.75, (0.5, 1.0)


@dataclass(frozen=True)
class LearningPoint:
    """Models of a `share` of the accounts, with `departed` that churned on average, against one of all of them."""

    share: float
    departed: int
    metrics: dict[str, PairedMetric]


@dataclass(frozen=True)
class LearningForecast:
    """How so many more months, and what departs in them, would change the log loss: below 0 is better."""

    months: int
    departed: int
    log_loss: Interval


@dataclass(frozen=True)
class LearningCurve:
    """The points, fewest accounts first, and the forecast; without halves there is none, and `unavailable` says why.

    `departed` accounts churned on the training days.
    """

    departed: int
    points: tuple[LearningPoint, ...]
    forecast: LearningForecast | None
    unavailable: str = ""


def measure_learning_curve(
    newest: BacktestFold, rows: pd.DataFrame, config: FitConfig, settings: Settings
) -> LearningCurve | None:
    """The learning curve up to the model of the newest fold; None if `evaluation.learning_curve` is off."""
    if not settings.evaluation.learning_curve:
        return None
    # A longer horizon takes fits of its own and leaves the risk for the main one as it is.
    shorter = replace(config, horizons=tuple(days for days in config.horizons if days <= config.main_horizon))
    departed = _count_departed(rows_on(rows, newest.split.train))
    points: list[LearningPoint] = []
    unavailable = ""
    for parts in PARTS:
        try:
            risks = list(_fit_parts(newest, rows, shorter, parts))
        except NothingToLearn as error:
            unavailable = error.message
        else:
            unavailable = ""
            compared = _compare_with_all(newest, risks, settings)
            points.append(LearningPoint(1 / parts, round(departed / parts), compared))
    forecast = None if unavailable else _forecast(points[-1], departed, newest.split, config)
    return LearningCurve(departed, tuple(points), forecast, unavailable)


def forecast_change(half: Interval, growth: float) -> Interval:
    """The change of log loss with `growth` times as many departures more, from what halves of the accounts lose.

    Twice the departures gain what halves lose, divided by 2 to the power of the exponent.

    >>> print(forecast_change(Interval(0.0040, 0.0010, 0.0070), growth=1))
    -0.0024 [-0.0049, -0.0005]
    """
    shares = [_share_of_half(growth, exponent) for exponent in EXPONENTS]
    bounds = [-end * share for end in (half.low, half.high) for share in shares]
    return Interval(-half.value * _share_of_half(growth, EXPONENT), min(bounds), max(bounds))


def _share_of_half(growth: float, exponent: float) -> float:
    return (1 - (1 + growth) ** -exponent) / (2**exponent - 1)


def _fit_parts(newest: BacktestFold, rows: pd.DataFrame, config: FitConfig, parts: int) -> Iterator[np.ndarray]:
    """The risks of all test snapshots, by a model of each part of the accounts."""
    part_of_row = assign_folds(rows, parts)
    each: list[pd.DataFrame] = [rows[part_of_row == part] for part in range(parts)]
    for days in (newest.split.fit, newest.split.calibration):
        for part in each:
            require_enough_churned(rows_on(part, days), config.training)
    for part in each:
        model = fit_split(part, newest.split, config)
        yield model.predict_risks(encode(newest.test, model.inputs))


def _compare_with_all(newest: BacktestFold, risks: list[np.ndarray], settings: Settings) -> dict[str, PairedMetric]:
    """Log loss and AUC of the parts, on average, against those of the model of all accounts; without undefined ones."""
    data = evaluation_data(pd.concat([newest.test] * len(risks), ignore_index=True))
    pair = PairedRisks(data, np.concatenate(risks), np.tile(newest.risks, len(risks)))
    part = np.repeat(np.arange(len(risks)), len(newest.test))
    rankings = [(part == number) & day for number in range(len(risks)) for day in data.day_masks]
    losses = compare_metrics(pair, {"log_loss": metrics.log_loss}, settings.evaluation)
    compared = losses | compare_metrics(pair, {"auc": metrics.auc}, settings.evaluation, within=rankings)
    return {name: metric for name, metric in compared.items() if not np.isnan(metric.difference.value)}


def _forecast(half: LearningPoint, departed: int, split: TimeSplit, config: FitConfig) -> LearningForecast:
    """Six more months in which as many depart in a month as on the training days."""
    days = (split.train[-1] - split.train[0]).days + config.main_horizon
    growth = MONTHS * DAYS_PER_MONTH / days
    change = forecast_change(half.metrics["log_loss"].difference, growth)
    return LearningForecast(MONTHS, round(departed * growth), change)


def _count_departed(rows: pd.DataFrame) -> int:
    return int(rows[ACCOUNT_ID][rows[CHURNED] == 1].nunique())
