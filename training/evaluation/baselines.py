"""Baselines: simple rules and models that a churn model must beat to be worth having."""

# pyright: reportMissingTypeStubs=false, reportUnknownVariableType=false
# (scikit-learn publishes no types)

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd
from scipy.special import expit

from configs.errors import ConfigError
from training.calibration.calibrator_fit import fit_logistic_curve
from training.evaluation.metrics import WeightedCounts, auc
from training.labels.definition import CHURNED
from training.model.churn_model import ModelInput, encode
from training.model.recalibration import assign_folds

GROUPS = 10
MIN_CATEGORY_COUNT = 20
MAX_ITERATIONS = 1_000


@dataclass(frozen=True)
class Baseline:
    """The risks that a simple rule gives the test snapshots; promotion requires that some `must_be_beaten`.

    A company has the base rates and the single signal without any model, so a model that does not beat them has no
    skill. The health score and the logistic regression are models too: promotion requires that they are not better.
    """

    name: str
    risks: np.ndarray
    must_be_beaten: bool = False


def fit_baselines(
    train: pd.DataFrame, test: pd.DataFrame, inputs: tuple[ModelInput, ...], weights: Mapping[str, float]
) -> tuple[Baseline, ...]:
    """Every baseline, fitted on `train` only; the health score only if it has weights.

    Raises ConfigError for a weight of something that is not a numeric signal.
    """
    baselines = (
        base_rate(train, test),
        latest_base_rate(train, test),
        best_single_signal(train, test, inputs),
        logistic_regression(train, test, inputs),
    )
    unknown = sorted(weights.keys() - {signal.name for signal in inputs if signal.kind == "number"})
    if unknown:
        raise ConfigError(
            f"health_score.weights names '{unknown[0]}', which is not a numeric signal of this data set.",
            "Run `oarlock signals` for the names.",
        )
    return (*baselines, health_score(train, test, weights)) if weights else baselines


def base_rate(train: pd.DataFrame, test: pd.DataFrame) -> Baseline:
    """The churn rate of all training snapshots for every account."""
    return Baseline("base rate", np.full(len(test), train[CHURNED].mean()), must_be_beaten=True)


def latest_base_rate(train: pd.DataFrame, test: pd.DataFrame) -> Baseline:
    """The churn rate of the latest training day for every account: following a drifting rate is no skill."""
    latest = train[CHURNED][train.as_of == train.as_of.max()]
    return Baseline("latest base rate", np.full(len(test), latest.mean()), must_be_beaten=True)


def best_single_signal(train: pd.DataFrame, test: pd.DataFrame, inputs: tuple[ModelInput, ...]) -> Baseline:
    """The churn rate of accounts with a similar value of the signal that ranks the training snapshots best."""
    best = max(inputs, key=lambda signal: _training_auc(train, signal))
    risks = single_signal_risks(train, test, best)
    return Baseline(f"best single signal ({best.label})", risks, must_be_beaten=True)


def single_signal_risks(train: pd.DataFrame, test: pd.DataFrame, signal: ModelInput) -> np.ndarray:
    """The churn rate of training accounts with a similar value of this signal; missing values form a group too."""
    edges = _bin_edges(train[signal.name], signal)
    train_groups, test_groups = (_assign_groups(rows[signal.name], signal, edges) for rows in (train, test))
    churned = train[CHURNED].to_numpy()
    count = int(max(train_groups.max(), test_groups.max(initial=0))) + 1
    # One added snapshot at the overall rate keeps an empty or tiny group from a rate of 0 or 1.
    totals = np.bincount(train_groups, minlength=count) + 1
    rates = (np.bincount(train_groups, churned, count) + churned.mean()) / totals
    return rates[test_groups]


def health_score(train: pd.DataFrame, test: pd.DataFrame, weights: Mapping[str, float]) -> Baseline:
    """A hand-weighted score over signals as z-scores, turned into a risk by a logistic curve.

    A missing value counts as the mean.
    """
    names, values = list(weights), np.array([*weights.values()])
    means, deviations = train[names].mean(), train[names].std().replace(0, np.nan)

    def unhealthiness(rows: pd.DataFrame) -> np.ndarray:
        return -((rows[names] - means) / deviations).fillna(0).to_numpy(dtype="float64") @ values

    slope, intercept = fit_logistic_curve(unhealthiness(train), train[CHURNED].to_numpy())
    return Baseline("health score", expit(slope * unhealthiness(test) + intercept))


def logistic_regression(train: pd.DataFrame, test: pd.DataFrame, inputs: tuple[ModelInput, ...]) -> Baseline:
    """A logistic regression on the same signals: medians and indicators for missing values, scaled, one-hot."""
    from sklearn.compose import make_column_transformer
    from sklearn.impute import SimpleImputer
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import OneHotEncoder, StandardScaler

    numbers = [index for index, signal in enumerate(inputs) if signal.kind == "number"]
    categories = [index for index, signal in enumerate(inputs) if signal.kind == "category"]
    imputer = SimpleImputer(strategy="median", add_indicator=True, keep_empty_features=True)
    preprocessing = make_column_transformer(
        (make_pipeline(imputer, StandardScaler()), numbers),
        (OneHotEncoder(handle_unknown="infrequent_if_exist", min_frequency=MIN_CATEGORY_COUNT), categories),
    )
    regression = LogisticRegression(solver="newton-cholesky", max_iter=MAX_ITERATIONS)
    model: Any = make_pipeline(preprocessing, regression)
    model.fit(encode(train, inputs), train[CHURNED].to_numpy())
    return Baseline("logistic regression", model.predict_proba(encode(test, inputs))[:, 1])


def fit_baselines_out_of_fold(
    rows: pd.DataFrame, inputs: tuple[ModelInput, ...], weights: Mapping[str, float]
) -> tuple[Baseline, ...]:
    """The baselines of each account, fitted on the accounts in other folds: those of `predict_out_of_fold`."""
    folds = assign_folds(rows)
    masks: list[np.ndarray] = [folds == fold for fold in np.unique(folds)]
    parts = [fit_baselines(rows[~mask], rows[mask], inputs, weights) for mask in masks]
    baselines: list[Baseline] = []
    for index, baseline in enumerate(parts[0]):
        risks = np.empty(len(rows))
        for mask, part in zip(masks, parts, strict=True):
            risks[mask] = part[index].risks
        baselines.append(replace(baseline, risks=risks))
    return tuple(baselines)


def _training_auc(rows: pd.DataFrame, signal: ModelInput) -> float:
    """The AUC of the group churn rates of this signal, on the same snapshots that they were taken from."""
    groups = _assign_groups(rows[signal.name], signal, _bin_edges(rows[signal.name], signal))
    churned, totals = np.bincount(groups, rows[CHURNED].to_numpy()), np.bincount(groups)
    is_used = totals > 0
    rates, steps = np.unique(churned[is_used] / totals[is_used], return_inverse=True)
    amounts = (churned[is_used], (totals - churned)[is_used])
    churned_at, stayed_at = (np.bincount(steps, amount)[::-1][None] for amount in amounts)
    return float(auc(WeightedCounts(rates[::-1], churned_at, stayed_at, np.zeros_like(churned_at)))[0])


def _bin_edges(values: pd.Series, signal: ModelInput) -> np.ndarray:
    if signal.kind == "category" or values.notna().sum() == 0:
        return np.empty(0)
    return np.unique(np.nanquantile(values.astype("float64"), np.linspace(0, 1, GROUPS + 1)[1:-1]))


def _assign_groups(values: pd.Series, signal: ModelInput, edges: np.ndarray) -> np.ndarray:
    """The number of each snapshot's group: 0 for a missing value, the last for an unknown category."""
    is_missing = values.isna().to_numpy()
    if signal.kind == "category":
        codes = pd.Categorical(values.astype("string"), categories=list(signal.categories)).codes.astype(int)
        return np.where(is_missing, 0, np.where(codes < 0, len(signal.categories), codes) + 1)
    numbers: np.ndarray = values.to_numpy(dtype="float64", na_value=np.nan)
    return np.where(is_missing, 0, np.searchsorted(edges, numbers) + 1)
