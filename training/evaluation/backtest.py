"""Backtest: the model as it would have been fitted on several past days, each evaluated on what came after.

Each fold is fitted like the served model, on what was known on its test day (rolling-origin evaluation: Tashman, 2000).
The spread over the folds shows how much the metrics of one test day vary.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

import numpy as np
import pandas as pd

from configs.errors import NothingToLearn
from configs.settings import Settings
from features.tables.contract import ACCOUNT_ID
from training.data.time_splits import Days, TimeSplit, split_days
from training.evaluation.baselines import Baseline, fit_baselines
from training.evaluation.scorecard import EvaluationData, Scorecard, evaluate_risks
from training.labels.definition import CHURNED
from training.model.churn_model import SEGMENT, ChurnModel, encode
from training.model.fit import FitConfig, FitRows, LongHorizonRows, fit_churn_model
from training.model.recalibration import assign_folds

REVENUE = "mrr"


@dataclass(frozen=True)
class BacktestFold:
    """The test snapshots of one fold with their labels, and the risks that model and baselines gave them.

    `risks` are for the main horizon, `risks_by_horizon` for each horizon, by its days.
    """

    split: TimeSplit
    test: pd.DataFrame
    risks: np.ndarray
    baselines: tuple[Baseline, ...]
    risks_by_horizon: Mapping[int, np.ndarray] = field(default_factory=dict[int, np.ndarray])


def fit_split(rows: pd.DataFrame, split: TimeSplit, config: FitConfig) -> ChurnModel:
    """The model of one split, fitted like the served one."""
    long_horizons = [
        LongHorizonRows(long.horizon_days, rows_on(rows, long.fit), rows_on(rows, long.calibration))
        for long in split.long_horizons
    ]
    parts = (rows_on(rows, days) for days in (split.fit, split.calibration, split.train))
    return fit_churn_model(FitRows(*parts, long_horizons=long_horizons), config)


def rows_on(rows: pd.DataFrame, days: Days) -> pd.DataFrame:
    """The snapshots of these days."""
    return rows[rows.as_of.isin(days)].reset_index(drop=True)


def backtest_splits(days: list[datetime], settings: Settings) -> list[TimeSplit]:
    """The newest split and earlier ones, newest first, as many as the days allow.

    Their test days are `evaluation.fold_spacing_days` apart, or the horizon if that is not set.
    """
    spacing = timedelta(days=settings.evaluation.fold_spacing_days or settings.label.horizon_days)
    splits = [split_days(days, settings.label, settings.training)]
    while len(splits) < settings.evaluation.backtest_folds:
        earlier = [day for day in days if day + spacing <= splits[-1].test[0]]
        try:
            splits.append(split_days(earlier, settings.label, settings.training))
        except NothingToLearn:
            break
    return splits


def evaluate_fold(model: ChurnModel, rows: pd.DataFrame, split: TimeSplit, settings: Settings) -> BacktestFold:
    """The risks of a model and of its baselines on the test days of its split.

    Raises NothingToLearn if no test snapshot churned, or all did.
    """
    train, test = rows_on(rows, split.train), rows_on(rows, split.test)
    require_both_outcomes(test)
    baselines = fit_baselines(train, test, model.inputs, settings.health_score.weights)
    columns = model.predict_risks_by_horizon(encode(test, model.inputs)).T
    by_horizon = dict(zip(model.calibrator.horizons, columns, strict=True))
    return BacktestFold(split, test, by_horizon[model.horizon_days], baselines, by_horizon)


def require_both_outcomes(test: pd.DataFrame) -> None:
    """Raise NothingToLearn if no test snapshot churned, or all did: no metric can be computed then."""
    churned = int(test[CHURNED].sum())
    if churned in {0, len(test)}:
        outcome = "none churned" if churned == 0 else "all churned"
        raise NothingToLearn(
            f"Of {len(test)} test snapshots of {test.as_of.max():%Y-%m-%d} {outcome}, so no risk can be evaluated.",
            "Test on more days (training.test_snapshots), or bring a longer history.",
        )


def evaluate_earlier_folds(
    rows: pd.DataFrame, splits: list[TimeSplit], config: FitConfig, settings: Settings
) -> tuple[list[BacktestFold], dict[str, str]]:
    """Every fold but the newest, and why any of them could not be fitted, by its test day."""
    folds: list[BacktestFold] = []
    skipped: dict[str, str] = {}
    for split in splits[1:]:
        try:
            folds.append(evaluate_fold(fit_split(rows, split, config), rows, split, settings))
        except NothingToLearn as error:
            skipped[f"{split.test[-1]:%Y-%m-%d}"] = error.message
    return folds, skipped


def evaluation_data(rows: pd.DataFrame) -> EvaluationData:
    """The labels, accounts, revenue and days of snapshots."""
    revenue = rows[REVENUE].to_numpy(dtype="float64") if REVENUE in rows else None
    account_ids = rows[ACCOUNT_ID].to_numpy(dtype="str")
    return EvaluationData(rows[CHURNED].to_numpy(), account_ids, revenue, rows.as_of.to_numpy())


def segment_column(rows: pd.DataFrame) -> np.ndarray | None:
    """The segment of each snapshot; None if the data set has no segments."""
    return rows[SEGMENT].to_numpy(dtype=object) if SEGMENT in rows else None


def pooled_data(folds: Sequence[BacktestFold]) -> EvaluationData:
    """The test snapshots of all folds, in their order."""
    return evaluation_data(pd.concat([fold.test for fold in folds], ignore_index=True))


def pooled_risks(folds: Sequence[BacktestFold]) -> np.ndarray:
    """The model's risks over all folds, in their order."""
    return np.concatenate([fold.risks for fold in folds])


def pooled_baselines(folds: Sequence[BacktestFold]) -> list[Baseline]:
    """Each baseline over all folds, in their order, with its name in the newest fold."""
    return [
        replace(newest, risks=np.concatenate([fold.baselines[index].risks for fold in folds]))
        for index, newest in enumerate(folds[0].baselines)
    ]


def evaluate_unseen_accounts(
    rows: pd.DataFrame, split: TimeSplit, config: FitConfig, settings: Settings
) -> Scorecard | None:
    """The newest fold by models that were fitted without the account; None if `evaluation.group_kfold` is below 2."""
    folds = settings.evaluation.group_kfold
    if folds < 2:
        return None
    fold_of_row = assign_folds(rows, folds)
    parts = [_evaluate_held_out(rows, fold_of_row == fold, split, config) for fold in range(folds)]
    return evaluate_risks(pooled_data(parts), pooled_risks(parts), settings.evaluation)


def _evaluate_held_out(
    rows: pd.DataFrame, is_held_out: np.ndarray, split: TimeSplit, config: FitConfig
) -> BacktestFold:
    test = rows_on(rows[is_held_out], split.test)
    model = fit_split(rows[~is_held_out], split, replace(config, horizons=()))
    return BacktestFold(split, test, model.predict_risks(encode(test, model.inputs)), ())
