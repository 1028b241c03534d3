"""Search: settings of the trees that are truer on past days, found by Optuna within a bound of trials or of time.

A trial is judged as a model is: fitted on several past days as it would have been made then, by the log loss of its
risks afterwards. Those days lie inside what is known before the first of the days that the model, its baselines and its
duels are judged on, where the history is long enough for that, and always before the newest: what is found there owes
nothing to the tests it has not seen, which are named. Every trial is kept in a file, so a search that was stopped goes
on where it was; the sampler of a trial is seeded by its number, so it goes on the same way.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import optuna
import pandas as pd

from configs.errors import NothingToLearn
from configs.settings import Settings, TrainingSettings
from training.data.time_splits import Split
from training.data.training_set import CHURNED
from training.evaluation.backtest import fit_on, on, origin_splits, refuse_one_answer
from training.evaluation.paired_difference import mean_log_loss
from training.model.churn_model import encode
from training.model.fit import Recipe, refuse_one_sided

Progress = Callable[[str, int, int], None]
TOO_FEW = "The days before the test are too few to search on."


@dataclass(frozen=True)
class Budget:
    """How long a search goes on: so many trials in all, those of an earlier search counted, and until time is over."""

    trials: int
    is_over: Callable[[], bool]
    progress: Progress


@dataclass(frozen=True)
class Notebook:
    """Where the trials of one search are kept; the name stands for everything they depend on."""

    file: Path
    name: str


@dataclass(frozen=True)
class Found:
    """What a search found: settings, after how many trials, and the log loss of these and of those that were given.

    `unseen` are the test days of the origins that it has not seen.
    """

    training: TrainingSettings
    trials: int
    log_loss: float
    log_loss_before: float
    unseen: tuple[str, ...]

    def document(self) -> dict[str, Any]:
        """What the evaluation says of it."""
        told = {"trials": self.trials, "log_loss": self.log_loss, "log_loss_before": self.log_loss_before}
        return {**told, "unseen": list(self.unseen), "training": self.training.model_dump(mode="json")}


@dataclass(frozen=True)
class Search:
    """What trials are fitted and judged on, and the test days of origins that none of it reaches."""

    rows: pd.DataFrame
    splits: tuple[Split, ...]
    recipe: Recipe
    unseen: tuple[str, ...]

    def run(self, budget: Budget, notebook: Notebook) -> Found:
        """Try settings until the budget is spent; the first trial is the recipe's own settings, so none is worse."""
        study = _open(notebook)
        given = self.recipe.training
        while not (done := _finished(study)) or (len(done) < budget.trials and not budget.is_over()):
            budget.progress(f"searching, trial {len(done) + 1}", len(done), max(budget.trials, len(done) + 1))
            study.sampler = optuna.samplers.TPESampler(seed=given.seed + len(done))
            trial = study.ask()
            tried = _suggested(trial, given) if done else given
            trial.set_user_attr("training", tried.model_dump(mode="json"))
            study.tell(trial, self.loss(tried))
        best, first = min(done, key=_value), done[0]
        training = TrainingSettings(**best.user_attrs["training"])
        return Found(training, len(done), _value(best), _value(first), self.unseen)

    def loss(self, training: TrainingSettings) -> float:
        """The log loss over all past days of models fitted with these settings."""
        recipe = Recipe(self.recipe.signals, training, self.recipe.label, self.recipe.identity)
        told = [self._told(split, recipe) for split in self.splits]
        churned, risks = (np.concatenate(part) for part in zip(*told, strict=True))
        return mean_log_loss(churned, risks)

    def _told(self, split: Split, recipe: Recipe) -> tuple[np.ndarray, np.ndarray]:
        test, model = on(self.rows, split.test), fit_on(self.rows, split, recipe)
        return test[CHURNED].to_numpy(), model.risks(encode(test, model.inputs))


def open_search(rows: pd.DataFrame, judged_on: Sequence[Split], recipe: Recipe, settings: Settings) -> Search:
    """A search over what was known before the tests of the origins, newest first, that a model is judged on.

    It ends before the first of them that leaves a past day to judge a trial on; a search says which tests it has not
    seen. Raises NothingToLearn where none leaves any.
    """
    why = "On none of them enough churned and stayed."
    for place in reversed(range(len(judged_on))):
        try:
            splits = origin_splits(list(judged_on[place].known), settings)
        except NothingToLearn as problem:
            why = problem.message
            continue
        splits = tuple(one for one in splits if _can_judge(rows, one, recipe.training))
        if splits:
            unseen = tuple(f"{one.test[-1]:%Y-%m-%d}" for one in judged_on[: place + 1])
            return Search(rows, splits, recipe, unseen)
    raise NothingToLearn(f"{TOO_FEW} {why}", "Train without --search.")


def _can_judge(rows: pd.DataFrame, split: Split, training: TrainingSettings) -> bool:
    """Whether a model can be made and judged there."""
    try:
        for days in (split.early, split.calibration):
            refuse_one_sided(on(rows, days), training)
        refuse_one_answer(on(rows, split.test))
    except NothingToLearn:
        return False
    return True


def _open(notebook: Notebook) -> optuna.Study:
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    notebook.file.parent.mkdir(parents=True, exist_ok=True)
    storage = optuna.storages.RDBStorage(f"sqlite:///{notebook.file}")
    study = optuna.create_study(storage=storage, study_name=notebook.name, load_if_exists=True)
    for trial in study.get_trials(states=(optuna.trial.TrialState.RUNNING,)):
        # It belongs to a search that was stopped.
        study.tell(trial.number, state=optuna.trial.TrialState.FAIL)
    return study


def _finished(study: optuna.Study) -> list[optuna.trial.FrozenTrial]:
    return study.get_trials(deepcopy=False, states=(optuna.trial.TrialState.COMPLETE,))


def _value(trial: optuna.trial.FrozenTrial) -> float:
    assert trial.value is not None
    return trial.value


def _suggested(trial: optuna.Trial, given: TrainingSettings) -> TrainingSettings:
    """Small trees, much held back: where few churned that decides how true a risk is. Their number is found growing."""
    tried = {
        "num_leaves": trial.suggest_int("num_leaves", 3, 16, log=True),
        "learning_rate": trial.suggest_float("learning_rate", 0.015, 0.1, log=True),
        "min_data_in_leaf": trial.suggest_int("min_data_in_leaf", 5, 200, log=True),
        "feature_fraction": trial.suggest_float("feature_fraction", 0.2, 1.0),
        "bagging_fraction": trial.suggest_float("bagging_fraction", 0.5, 1.0),
        "lambda_l2": trial.suggest_float("lambda_l2", 0.1, 30.0, log=True),
        "path_smooth": trial.suggest_float("path_smooth", 0.0, 30.0),
    }
    return given.model_copy(update=tried)
