"""Contestants: Oarlock and its rivals, each fitted on the same snapshots and tuned on the same later days.

A rival is used as a good engineer would: tuned and stopped on the log loss of days later than those it learned from
(Oarlock's own calibration days), then fitted again on every day known. What it could not do without is given to it:
filled and scaled numbers for the regression, native categories for the boosters, a calibrator for the forest, whose
votes are no probabilities.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import product
from typing import Any

import numpy as np
import pandas as pd
from scipy.special import logit
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import log_loss

from training.labels.definition import CHURNED
from training.model.churn_model import ModelInput, encode

THREADS = 1  # on a machine that does other things too, threads wait for each other and CPU seconds mean nothing
SEED = 7
MOST_TREES, PATIENCE = 1_500, 50
SCARCEST_CATEGORY = 20
SURE = 1e-6
Predict = Callable[[np.ndarray], np.ndarray]


@dataclass(frozen=True)
class Examples:
    """Snapshots as a matrix (numbers, codes of categories, NaN for missing) and whether they churned."""

    matrix: np.ndarray
    churned: np.ndarray

    @classmethod
    def of(cls, rows: pd.DataFrame, inputs: tuple[ModelInput, ...]) -> "Examples":
        return cls(encode(rows, inputs), rows[CHURNED].to_numpy())


@dataclass(frozen=True)
class TrainingTask:
    """What everyone learns from: `early` days, `later` ones to tune on, and all `known` ones, which hold both."""

    early: Examples
    later: Examples
    train: Examples
    inputs: tuple[ModelInput, ...]

    @property
    def categories(self) -> list[int]:
        return [column for column, model_input in enumerate(self.inputs) if model_input.kind == "category"]


@dataclass(frozen=True)
class Tried:
    """One setting, how true it was on the later days, and for how many trees."""

    loss: float
    setting: dict[str, Any]
    trees: int = 0


def lightgbm_defaults(lesson: TrainingTask) -> Predict:
    """LightGBM as it comes."""
    import lightgbm

    data = lightgbm.Dataset(lesson.train.matrix, lesson.train.churned, categorical_feature=lesson.categories)
    booster = lightgbm.train({"objective": "binary", "num_threads": THREADS, "seed": SEED, "verbose": -1}, data)
    return lambda matrix: np.asarray(booster.predict(matrix))


def xgboost_tuned(lesson: TrainingTask, trials: int = 12) -> Predict:
    """XGBoost with the best of `trials` settings drawn at random, each stopped early."""
    import xgboost  # pyright: ignore[reportMissingImports]

    kinds = ["c" if model_input.kind == "category" else "q" for model_input in lesson.inputs]

    def to_matrix(examples: Examples) -> xgboost.DMatrix:
        return xgboost.DMatrix(
            examples.matrix, examples.churned, feature_types=kinds, enable_categorical=True, nthread=THREADS
        )

    early, later = to_matrix(lesson.early), to_matrix(lesson.later)

    def attempt(setting: dict[str, Any]) -> Tried:
        booster = xgboost.train(
            setting, early, MOST_TREES, evals=[(later, "later")], early_stopping_rounds=PATIENCE, verbose_eval=False
        )
        return Tried(booster.best_score, setting, booster.best_iteration + 1)

    best = min((attempt(setting) for setting in _drawn(trials)), key=lambda model_input: model_input.loss)
    booster = xgboost.train(best.setting, to_matrix(lesson.train), best.trees)
    return lambda matrix: booster.predict(to_matrix(Examples(matrix, np.zeros(len(matrix)))))


def catboost_tuned(lesson: TrainingTask) -> Predict:
    """CatBoost with the best of a few depths and ridges, each stopped early, categories its own way."""
    import catboost  # pyright: ignore[reportMissingImports]

    def to_frame(matrix: np.ndarray) -> pd.DataFrame:
        frame = pd.DataFrame(matrix)
        codes = {column: frame[column].fillna(-1).astype(int) for column in lesson.categories}
        return frame.assign(**{str(column): values for column, values in codes.items()}).drop(columns=[*codes])

    def build_model(setting: dict[str, Any], trees: int) -> catboost.CatBoostClassifier:
        fixed = {"cat_features": [str(column) for column in lesson.categories], "random_seed": SEED}
        quiet = {"verbose": False, "allow_writing_files": False, "thread_count": THREADS}
        return catboost.CatBoostClassifier(iterations=trees, learning_rate=0.05, **fixed, **quiet, **setting)

    def attempt(setting: dict[str, Any]) -> Tried:
        model = build_model(setting, MOST_TREES)
        later = (to_frame(lesson.later.matrix), lesson.later.churned)
        model.fit(to_frame(lesson.early.matrix), lesson.early.churned, eval_set=later, early_stopping_rounds=PATIENCE)
        return Tried(model.get_best_score()["validation"]["Logloss"], setting, (model.get_best_iteration() or 0) + 1)

    settings = [{"depth": depth, "l2_leaf_reg": ridge} for depth, ridge in product((4, 6), (3.0, 30.0))]
    best = min((attempt(setting) for setting in settings), key=lambda trial: trial.loss)
    model = build_model(best.setting, best.trees).fit(to_frame(lesson.train.matrix), lesson.train.churned)
    return lambda matrix: model.predict_proba(to_frame(matrix))[:, 1]


def logistic_regression(lesson: TrainingTask) -> Predict:
    """Logistic regression: medians and marks for what is missing, scaled or made normal, categories one-hot, ridge."""

    def build_model(setting: dict[str, Any]) -> Any:
        from sklearn.pipeline import make_pipeline

        return make_pipeline(_prepared(lesson, setting["normal"]), LogisticRegression(C=setting["C"], max_iter=2_000))

    settings = [{"normal": normal, "C": C} for normal, C in product((False, True), (1.0, 0.1, 0.01, 0.001))]
    return _best_of(lesson, build_model, settings)


def random_forest(lesson: TrainingTask) -> Predict:
    """A random forest of 300 trees with the best leaf and share of signals, calibrated on the later days."""
    from sklearn.ensemble import RandomForestClassifier
    from sklearn.impute import SimpleImputer
    from sklearn.pipeline import make_pipeline

    def build_model(setting: dict[str, Any]) -> Any:
        forest = RandomForestClassifier(300, n_jobs=THREADS, random_state=SEED, **setting)
        return make_pipeline(SimpleImputer(strategy="median", add_indicator=True, keep_empty_features=True), forest)

    settings = [{"min_samples_leaf": leaf, "max_features": share} for leaf, share in product((10, 50), ("sqrt", 0.2))]
    early = _best_of(lesson, build_model, settings, refit=False)
    curve = LogisticRegression(C=np.inf).fit(_log_odds(early(lesson.later.matrix)), lesson.later.churned)
    predict = _best_of(lesson, build_model, settings)
    return lambda matrix: curve.predict_proba(_log_odds(predict(matrix)))[:, 1]


RIVALS: dict[str, Callable[[TrainingTask], Predict]] = {
    "LightGBM defaults": lightgbm_defaults,
    "XGBoost tuned": xgboost_tuned,
    "CatBoost tuned": catboost_tuned,
    "logistic regression": logistic_regression,
    "random forest": random_forest,
}


def _drawn(trials: int) -> Iterator[dict[str, Any]]:
    """Settings of XGBoost at random, in the ranges its users search."""
    draw = np.random.default_rng(SEED)
    for _ in range(trials):
        yield {
            "objective": "binary:logistic",
            "eval_metric": "logloss",
            "tree_method": "hist",
            "nthread": THREADS,
            "seed": SEED,
            "eta": float(np.exp(draw.uniform(np.log(0.02), np.log(0.15)))),
            "max_depth": int(draw.integers(2, 8)),
            "min_child_weight": float(np.exp(draw.uniform(np.log(1), np.log(100)))),
            "subsample": float(draw.uniform(0.5, 1.0)),
            "colsample_bytree": float(draw.uniform(0.2, 1.0)),
            "reg_lambda": float(np.exp(draw.uniform(np.log(0.1), np.log(100)))),
        }


def _best_of(
    lesson: TrainingTask, build_model: Callable[[dict[str, Any]], Any], settings: list, *, refit: bool = True
) -> Predict:
    """The scikit-learn model whose setting was truest on the later days, of early days or of all known ones."""

    def attempt(setting: dict[str, Any]) -> tuple[Tried, Any]:
        model = build_model(setting).fit(lesson.early.matrix, lesson.early.churned)
        return Tried(log_loss(lesson.later.churned, model.predict_proba(lesson.later.matrix)[:, 1]), setting), model

    best, model = min((attempt(setting) for setting in settings), key=lambda trial: trial[0].loss)
    model = build_model(best.setting).fit(lesson.train.matrix, lesson.train.churned) if refit else model
    return lambda matrix: model.predict_proba(matrix)[:, 1]


def _prepared(lesson: TrainingTask, normal: bool) -> Any:
    from sklearn.compose import make_column_transformer
    from sklearn.impute import SimpleImputer
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import OneHotEncoder, QuantileTransformer, StandardScaler

    numbers = [column for column in range(len(lesson.inputs)) if column not in lesson.categories]
    filled = SimpleImputer(strategy="median", add_indicator=True, keep_empty_features=True)
    shaped = QuantileTransformer(output_distribution="normal", random_state=SEED) if normal else "passthrough"
    one_hot = OneHotEncoder(handle_unknown="infrequent_if_exist", min_frequency=SCARCEST_CATEGORY)
    return make_column_transformer(
        (make_pipeline(filled, shaped, StandardScaler()), numbers), (one_hot, lesson.categories)
    )


def _log_odds(risks: np.ndarray) -> np.ndarray:
    return logit(np.clip(risks, SURE, 1 - SURE))[:, None]
