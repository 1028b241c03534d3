"""Baselines: what a model must beat to be worth having."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
from scipy.special import expit

from configs.errors import ConfigError
from training.data.training_set import CHURNED
from training.evaluation.metrics import Tally, auc
from training.model.calibrator_fit import logistic_curve
from training.model.churn_model import Input, encode
from training.model.recalibration import _folds

GROUPS = 10
RAREST_CATEGORY = 20
MOST_ITERATIONS = 1_000


@dataclass(frozen=True)
class Baseline:
    """The risks that a simple rule gives the test snapshots; a promotion asks that some `must_be_beaten`.

    The base rates and the single signal are what a company has without any model, so not to beat them means no skill.
    The health score and the logistic regression are models too: a promotion asks that they do not beat this one.
    """

    name: str
    risks: np.ndarray
    must_be_beaten: bool = False


def baselines(
    learned: pd.DataFrame, test: pd.DataFrame, inputs: tuple[Input, ...], weights: Mapping[str, float]
) -> tuple[Baseline, ...]:
    """Every baseline, fitted on `learned` alone; the health score only where it has weights.

    Raises ConfigError for a weight on what is no number among the signals.
    """
    always = (
        base_rate(learned, test),
        newest_base_rate(learned, test),
        one_signal(learned, test, inputs),
        logistic_regression(learned, test, inputs),
    )
    unknown = sorted(weights.keys() - {one.name for one in inputs if one.kind == "number"})
    if unknown:
        raise ConfigError(f"health_score.weights names '{unknown[0]}', which is no number among this data's signals.")
    return (*always, health_score(learned, test, weights)) if weights else always


def base_rate(learned: pd.DataFrame, test: pd.DataFrame) -> Baseline:
    """Everyone at the churn rate so far."""
    return Baseline("base rate", np.full(len(test), learned[CHURNED].mean()), must_be_beaten=True)


def newest_base_rate(learned: pd.DataFrame, test: pd.DataFrame) -> Baseline:
    """Everyone at the churn rate of the newest day known: where rates drift, to follow them is no skill."""
    newest = learned[CHURNED][learned.as_of == learned.as_of.max()]
    return Baseline("newest base rate", np.full(len(test), newest.mean()), must_be_beaten=True)


def one_signal(learned: pd.DataFrame, test: pd.DataFrame, inputs: tuple[Input, ...]) -> Baseline:
    """The churn rate so far among accounts alike in the one signal that told most about the snapshots learned from."""
    best = max((one for one in inputs), key=lambda one: _telling(learned, one))
    return Baseline(f"one signal ({best.label})", risks_of_one(learned, test, best), must_be_beaten=True)


def risks_of_one(learned: pd.DataFrame, test: pd.DataFrame, one: Input) -> np.ndarray:
    """The churn rate so far among accounts alike in this signal, missing being a likeness too."""
    edges = _edges(learned[one.name], one)
    groups, asked = (_grouped(rows[one.name], one, edges) for rows in (learned, test))
    churned = learned[CHURNED].to_numpy()
    many = int(max(groups.max(), asked.max(initial=0))) + 1
    # One added snapshot at the overall rate keeps an empty or tiny group from claiming certainty.
    rates = (np.bincount(groups, churned, many) + churned.mean()) / (np.bincount(groups, minlength=many) + 1)
    return rates[asked]


def health_score(learned: pd.DataFrame, test: pd.DataFrame, weights: Mapping[str, float]) -> Baseline:
    """A score weighted by hand over signals as z-scores of what was known, made a risk by a logistic curve.

    A missing value counts as the mean.
    """
    names, given = list(weights), np.array([*weights.values()])
    means, spreads = learned[names].mean(), learned[names].std().replace(0, np.nan)

    def unhealth(rows: pd.DataFrame) -> np.ndarray:
        return -((rows[names] - means) / spreads).fillna(0).to_numpy(dtype="float64") @ given

    slope, level = logistic_curve(unhealth(learned), learned[CHURNED].to_numpy())
    return Baseline("health score", expit(slope * unhealth(test) + level))


def logistic_regression(learned: pd.DataFrame, test: pd.DataFrame, inputs: tuple[Input, ...]) -> Baseline:
    """A logistic regression on the same signals: medians and marks for what is missing, scaled, categories one-hot."""
    from sklearn.compose import make_column_transformer
    from sklearn.impute import SimpleImputer
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import OneHotEncoder, StandardScaler

    numbers = [i for i, one in enumerate(inputs) if one.kind == "number"]
    categories = [i for i, one in enumerate(inputs) if one.kind == "category"]
    filled = SimpleImputer(strategy="median", add_indicator=True, keep_empty_features=True)
    prepared = make_column_transformer(
        (make_pipeline(filled, StandardScaler()), numbers),
        (OneHotEncoder(handle_unknown="infrequent_if_exist", min_frequency=RAREST_CATEGORY), categories),
    )
    model = make_pipeline(prepared, LogisticRegression(solver="newton-cholesky", max_iter=MOST_ITERATIONS))
    model.fit(encode(learned, inputs), learned[CHURNED].to_numpy())
    return Baseline("logistic regression", model.predict_proba(encode(test, inputs))[:, 1])


def _telling(rows: pd.DataFrame, one: Input) -> float:
    """The AUC of the churn rates among accounts alike in this signal, on the very snapshots they were taken from."""
    groups = _grouped(rows[one.name], one, _edges(rows[one.name], one))
    left, all_of = np.bincount(groups, rows[CHURNED].to_numpy()), np.bincount(groups)
    there = all_of > 0
    rates, steps = np.unique(left[there] / all_of[there], return_inverse=True)
    churned, stayed = (np.bincount(steps, many)[::-1][None] for many in (left[there], (all_of - left)[there]))
    return float(auc(Tally(rates[::-1], churned, stayed, np.zeros_like(churned)))[0])


def _edges(values: pd.Series, one: Input) -> np.ndarray:
    if one.kind == "category" or values.notna().sum() == 0:
        return np.empty(0)
    return np.unique(np.nanquantile(values.astype("float64"), np.linspace(0, 1, GROUPS + 1)[1:-1]))


def _grouped(values: pd.Series, one: Input, edges: np.ndarray) -> np.ndarray:
    """The number of each snapshot's group: 0 where the signal is missing, the last for a category never seen."""
    missing = values.isna().to_numpy()
    if one.kind == "category":
        codes = pd.Categorical(values.astype("string"), categories=list(one.categories)).codes.astype(int)
        return np.where(missing, 0, np.where(codes < 0, len(one.categories), codes) + 1)
    return np.where(missing, 0, np.searchsorted(edges, values.to_numpy(dtype="float64", na_value=np.nan)) + 1)


def baselines_out_of_fold(
    rows: pd.DataFrame, inputs: tuple[Input, ...], weights: Mapping[str, float]
) -> tuple[Baseline, ...]:
    """What baselines learned on the other accounts of these days give each account, in the folds of `out_of_fold`."""
    fold = _folds(rows)
    parts = {one: baselines(rows[fold != one], rows[fold == one], inputs, weights) for one in np.unique(fold)}
    found = []
    for place, named in enumerate(next(iter(parts.values()))):
        risks = np.empty(len(rows))
        for one, part in parts.items():
            risks[fold == one] = part[place].risks
        found.append(replace(named, risks=risks))
    return tuple(found)
