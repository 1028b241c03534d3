"""The other models, each fitted on the same snapshots and tuned on the same later days.

Each is used as a good engineer would: tuned and stopped early by the log loss on later days (Oarlock's calibration
days), then refitted on all known days. Each gets the preparation it needs: imputed and scaled numbers for the
regression, native categories for the boosters, and a calibrator for the forest, whose votes are not probabilities.
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

THREADS = 1  # with more, threads of a busy machine wait for each other and CPU seconds mean nothing
SEED = 7
MAX_TREES, PATIENCE = 1_500, 50
MIN_CATEGORY_ROWS = 20
EPSILON = 1e-6
Predict = Callable[[np.ndarray], np.ndarray]
Setting = dict[str, Any]


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
    """What every model is fitted on: `early` days, `later` ones to tune on, and all of `train`, which holds both."""

    early: Examples
    later: Examples
    train: Examples
    inputs: tuple[ModelInput, ...]

    @property
    def categories(self) -> list[int]:
        return [column for column, model_input in enumerate(self.inputs) if model_input.kind == "category"]


@dataclass(frozen=True)
class Trial:
    """One setting, its log loss on the later days, and its number of trees."""

    loss: float
    setting: Setting
    trees: int = 0


def lightgbm_defaults(task: TrainingTask) -> Predict:
    """LightGBM with its default settings."""
    import lightgbm

    data = lightgbm.Dataset(task.train.matrix, task.train.churned, categorical_feature=task.categories)
    booster = lightgbm.train({"objective": "binary", "num_threads": THREADS, "seed": SEED, "verbose": -1}, data)
    return lambda matrix: np.asarray(booster.predict(matrix))


def xgboost_tuned(task: TrainingTask, trials: int = 12) -> Predict:
    """XGBoost with the best of `trials` random settings, each stopped early."""
    import xgboost  # pyright: ignore[reportMissingImports]

    kinds = ["c" if model_input.kind == "category" else "q" for model_input in task.inputs]

    def to_matrix(examples: Examples) -> xgboost.DMatrix:
        return xgboost.DMatrix(
            examples.matrix, examples.churned, feature_types=kinds, enable_categorical=True, nthread=THREADS
        )

    early, later = to_matrix(task.early), to_matrix(task.later)

    def attempt(setting: Setting) -> Trial:
        booster = xgboost.train(
            setting, early, MAX_TREES, evals=[(later, "later")], early_stopping_rounds=PATIENCE, verbose_eval=False
        )
        return Trial(booster.best_score, setting, booster.best_iteration + 1)

    best = min((attempt(setting) for setting in _sample_settings(trials)), key=lambda trial: trial.loss)
    booster = xgboost.train(best.setting, to_matrix(task.train), best.trees)
    return lambda matrix: booster.predict(to_matrix(Examples(matrix, np.zeros(len(matrix)))))


def catboost_tuned(task: TrainingTask) -> Predict:
    """CatBoost with the best of a few depths and ridges, each stopped early, with its own encoding of categories."""
    import catboost  # pyright: ignore[reportMissingImports]

    def to_frame(matrix: np.ndarray) -> pd.DataFrame:
        frame = pd.DataFrame(matrix)
        codes = {column: frame[column].fillna(-1).astype(int) for column in task.categories}
        return frame.assign(**{str(column): values for column, values in codes.items()}).drop(columns=[*codes])

    def build_model(setting: Setting, trees: int) -> catboost.CatBoostClassifier:
        fixed = {"cat_features": [str(column) for column in task.categories], "random_seed": SEED}
        quiet = {"verbose": False, "allow_writing_files": False, "thread_count": THREADS}
        return catboost.CatBoostClassifier(iterations=trees, learning_rate=0.05, **fixed, **quiet, **setting)

    def attempt(setting: Setting) -> Trial:
        model = build_model(setting, MAX_TREES)
        later = (to_frame(task.later.matrix), task.later.churned)
        model.fit(to_frame(task.early.matrix), task.early.churned, eval_set=later, early_stopping_rounds=PATIENCE)
        return Trial(model.get_best_score()["validation"]["Logloss"], setting, (model.get_best_iteration() or 0) + 1)

    settings = [{"depth": depth, "l2_leaf_reg": ridge} for depth, ridge in product((4, 6), (3.0, 30.0))]
    best = min((attempt(setting) for setting in settings), key=lambda trial: trial.loss)
    model = build_model(best.setting, best.trees).fit(to_frame(task.train.matrix), task.train.churned)
    return lambda matrix: model.predict_proba(to_frame(matrix))[:, 1]


def logistic_regression(task: TrainingTask) -> Predict:
    """Logistic regression: medians and indicators for missing values, scaled or normal; one-hot; ridge."""

    def build_model(setting: Setting) -> Any:
        from sklearn.pipeline import make_pipeline

        return make_pipeline(
            _build_preprocessor(task, setting["normal"]), LogisticRegression(C=setting["C"], max_iter=2_000)
        )

    settings = [{"normal": normal, "C": C} for normal, C in product((False, True), (1.0, 0.1, 0.01, 0.001))]
    return _fit_best_setting(task, build_model, settings)


def random_forest(task: TrainingTask) -> Predict:
    """A random forest of 300 trees with the best leaf and share of signals, calibrated on the later days."""
    from sklearn.ensemble import RandomForestClassifier
    from sklearn.impute import SimpleImputer
    from sklearn.pipeline import make_pipeline

    def build_model(setting: Setting) -> Any:
        forest = RandomForestClassifier(300, n_jobs=THREADS, random_state=SEED, **setting)
        return make_pipeline(SimpleImputer(strategy="median", add_indicator=True, keep_empty_features=True), forest)

    settings = [{"min_samples_leaf": leaf, "max_features": share} for leaf, share in product((10, 50), ("sqrt", 0.2))]
    early = _fit_best_setting(task, build_model, settings, refit=False)
    curve = LogisticRegression(C=np.inf).fit(_log_odds(early(task.later.matrix)), task.later.churned)
    predict = _fit_best_setting(task, build_model, settings)
    return lambda matrix: curve.predict_proba(_log_odds(predict(matrix)))[:, 1]


RIVALS: dict[str, Callable[[TrainingTask], Predict]] = {
    "LightGBM defaults": lightgbm_defaults,
    "XGBoost tuned": xgboost_tuned,
    "CatBoost tuned": catboost_tuned,
    "logistic regression": logistic_regression,
    "random forest": random_forest,
}


def _sample_settings(trials: int) -> Iterator[Setting]:
    """Random settings of XGBoost, in the ranges that its users search."""
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


def _fit_best_setting(
    task: TrainingTask, build_model: Callable[[Setting], Any], settings: list, *, refit: bool = True
) -> Predict:
    """The scikit-learn model with the lowest log loss on the later days, refitted on all days if `refit`."""

    def attempt(setting: Setting) -> tuple[Trial, Any]:
        model = build_model(setting).fit(task.early.matrix, task.early.churned)
        return Trial(log_loss(task.later.churned, model.predict_proba(task.later.matrix)[:, 1]), setting), model

    best, model = min((attempt(setting) for setting in settings), key=lambda trial: trial[0].loss)
    model = build_model(best.setting).fit(task.train.matrix, task.train.churned) if refit else model
    return lambda matrix: model.predict_proba(matrix)[:, 1]


def _build_preprocessor(task: TrainingTask, normal: bool) -> Any:
    from sklearn.compose import make_column_transformer
    from sklearn.impute import SimpleImputer
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import OneHotEncoder, QuantileTransformer, StandardScaler

    numbers = [column for column in range(len(task.inputs)) if column not in task.categories]
    filled = SimpleImputer(strategy="median", add_indicator=True, keep_empty_features=True)
    shaped = QuantileTransformer(output_distribution="normal", random_state=SEED) if normal else "passthrough"
    one_hot = OneHotEncoder(handle_unknown="infrequent_if_exist", min_frequency=MIN_CATEGORY_ROWS)
    return make_column_transformer(
        (make_pipeline(filled, shaped, StandardScaler()), numbers), (one_hot, task.categories)
    )


def _log_odds(risks: np.ndarray) -> np.ndarray:
    return logit(np.clip(risks, EPSILON, 1 - EPSILON))[:, None]
