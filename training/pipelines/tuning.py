"""Tuning: Optuna searches for training settings with a lower log loss on past days, within a budget.

A trial is evaluated as a model is: fitted on several past days as it would have been then, and scored by the log loss
of its risks afterwards. These days end before the first test day that the model, its baselines and its comparisons are
evaluated on, if the history is long enough, and always before the newest: the test days that the search has not seen
are reported. Every trial is stored in a file, so a search that was stopped continues where it was; the sampler of a
trial is seeded by its number, so the result is the same.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import optuna
import pandas as pd
from sqlalchemy.exc import SQLAlchemyError

from configs.errors import NothingToLearn
from configs.files import sqlite_url
from configs.progress import Progress
from configs.sections.training import TrainingSettings
from configs.settings import Settings
from configs.stored_files import damaged_if
from training.data.time_splits import TimeSplit
from training.evaluation.backtest import backtest_splits, fit_split, require_both_outcomes, rows_on
from training.evaluation.paired_difference import mean_log_loss
from training.labels.definition import CHURNED
from training.model.churn_model import encode
from training.model.fit import FitConfig, require_enough_churned
from training.registry.evaluation_record import TuningRecord


@dataclass(frozen=True)
class SearchBudget:
    """When a search ends: after so many trials, including those of an earlier search, or when the time is over."""

    trials: int
    is_over: Callable[[], bool]
    progress: Progress


@dataclass(frozen=True)
class TrialStorage:
    """The file with the trials of a search; the name identifies everything that their results depend on."""

    file: Path
    name: str


@dataclass(frozen=True)
class TuningResult:
    """The best settings, their log loss and that of the initial settings, and the test days the search has not seen."""

    training: TrainingSettings
    trials: int
    log_loss: float
    initial_log_loss: float
    unseen_test_days: tuple[str, ...]

    def to_record(self) -> TuningRecord:
        """The result as it is stored in an evaluation."""
        return TuningRecord(
            trials=self.trials,
            log_loss=self.log_loss,
            initial_log_loss=self.initial_log_loss,
            unseen_test_days=self.unseen_test_days,
            training=self.training.model_dump(mode="json"),
        )


@dataclass(frozen=True)
class HyperparameterSearch:
    """What trials are fitted and evaluated on, and the test days of the backtest that it does not reach."""

    rows: pd.DataFrame
    splits: tuple[TimeSplit, ...]
    fit_config: FitConfig
    unseen_test_days: tuple[str, ...]

    def run(self, budget: SearchBudget, storage: TrialStorage) -> TuningResult:
        """Run trials until the budget is spent; the first trial is the initial settings, so the result is no worse."""
        study, initial = _open_study(storage), self.fit_config.training
        while not (trials := _finished(study)) or (len(trials) < budget.trials and not budget.is_over()):
            number = len(trials)
            budget.progress(f"tuning, trial {number + 1}", number, max(budget.trials, number + 1))
            study.sampler = optuna.samplers.TPESampler(seed=initial.seed + number)
            trial = study.ask()
            training = _suggest_settings(trial, initial) if trials else initial
            trial.set_user_attr("training", training.model_dump(mode="json"))
            study.tell(trial, self.loss(training))
        best = min(trials, key=_value)
        training = TrainingSettings(**best.user_attrs["training"])
        return TuningResult(training, len(trials), _value(best), _value(trials[0]), self.unseen_test_days)

    def loss(self, training: TrainingSettings) -> float:
        """The log loss over all past days of models fitted with these settings."""
        config = replace(self.fit_config, training=training)
        tested = [self._predict(split, config) for split in self.splits]
        churned, risks = (np.concatenate(part) for part in zip(*tested, strict=True))
        return mean_log_loss(churned, risks)

    def _predict(self, split: TimeSplit, config: FitConfig) -> tuple[np.ndarray, np.ndarray]:
        """The labels and the risks of the test snapshots."""
        test, model = rows_on(self.rows, split.test), fit_split(self.rows, split, config)
        return test[CHURNED].to_numpy(), model.predict_risks(encode(test, model.inputs))


def prepare_search(
    rows: pd.DataFrame, backtest: Sequence[TimeSplit], config: FitConfig, settings: Settings
) -> HyperparameterSearch:
    """A search on what was known before the test days of a backtest (newest first).

    It ends before the oldest test day that leaves a past day to evaluate a trial on. Raises NothingToLearn if none
    does.
    """
    reason = "On none of them enough accounts churned and stayed."
    for index in reversed(range(len(backtest))):
        try:
            splits = backtest_splits(list(backtest[index].train), settings)
        except NothingToLearn as error:
            reason = error.message
            continue
        splits = tuple(split for split in splits if _can_evaluate(rows, split, config.training))
        if splits:
            unseen = tuple(f"{split.test[-1]:%Y-%m-%d}" for split in backtest[: index + 1])
            return HyperparameterSearch(rows, splits, config, unseen)
    raise NothingToLearn(f"There are too few days before the test days to tune on. {reason}", "Train without --tune.")


def _can_evaluate(rows: pd.DataFrame, split: TimeSplit, training: TrainingSettings) -> bool:
    """Whether a model can be fitted and evaluated on the split."""
    try:
        for days in (split.fit, split.calibration):
            require_enough_churned(rows_on(rows, days), training)
        require_both_outcomes(rows_on(rows, split.test))
    except NothingToLearn:
        return False
    return True


def _open_study(storage: TrialStorage) -> optuna.Study:
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    storage.file.parent.mkdir(parents=True, exist_ok=True)
    errors = (SQLAlchemyError, AssertionError, optuna.exceptions.OptunaError, RuntimeError)
    with damaged_if(errors, storage.file, "Delete it: the search begins anew."):
        database = optuna.storages.RDBStorage(sqlite_url(storage.file))
        study = optuna.create_study(storage=database, study_name=storage.name, load_if_exists=True)
    for trial in study.get_trials(states=(optuna.trial.TrialState.RUNNING,)):
        # It belongs to a search that was stopped.
        study.tell(trial.number, state=optuna.trial.TrialState.FAIL)
    return study


def _finished(study: optuna.Study) -> list[optuna.trial.FrozenTrial]:
    return study.get_trials(deepcopy=False, states=(optuna.trial.TrialState.COMPLETE,))


def _value(trial: optuna.trial.FrozenTrial) -> float:
    assert trial.value is not None
    return trial.value


def _suggest_settings(trial: optuna.Trial, initial: TrainingSettings) -> TrainingSettings:
    """Small, strongly regularised trees, because few accounts churn; their number is found by early stopping."""
    suggested = {
        "num_leaves": trial.suggest_int("num_leaves", 3, 16, log=True),
        "learning_rate": trial.suggest_float("learning_rate", 0.015, 0.1, log=True),
        "min_data_in_leaf": trial.suggest_int("min_data_in_leaf", 5, 200, log=True),
        "feature_fraction": trial.suggest_float("feature_fraction", 0.2, 1.0),
        "bagging_fraction": trial.suggest_float("bagging_fraction", 0.5, 1.0),
        "lambda_l2": trial.suggest_float("lambda_l2", 0.1, 30.0, log=True),
        "path_smooth": trial.suggest_float("path_smooth", 0.0, 30.0),
    }
    return initial.model_copy(update=suggested)
