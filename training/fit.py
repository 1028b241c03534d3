"""Fitting: the calibrator on margins of days later than its trees, then the trees on every day known by now.

No class weights and no resampling: both ruin the probability.
"""

from dataclasses import dataclass
from typing import Any

import lightgbm
import numpy as np
import pandas as pd
from scipy.optimize import minimize
from scipy.special import log_expit

from configs.errors import NothingToLearn
from configs.settings import TrainingSettings
from features.signals.declaration import Signal
from training.model import EVERYONE, Calibrator, ChurnModel, Input, encode
from training.panel import CHURNED

SMALLEST_SLOPE = 1e-3
MANY_CELLS = 20_000_000


@dataclass(frozen=True)
class Recipe:
    """What the model is made of besides the rows."""

    signals: tuple[Signal, ...]
    training: TrainingSettings
    label: dict[str, Any]
    identity: dict[str, str]


def fit(early: pd.DataFrame, calibration: pd.DataFrame, known: pd.DataFrame, recipe: Recipe) -> ChurnModel:
    """A calibrated model from snapshots with their answers; the same rows and recipe give the same model to the byte.

    Trees grown on `early` give the later `calibration` rows the margins that the calibrator learns from; the trees of
    the model are then grown on `known`, which holds both. Raises NothingToLearn where too few churned or stayed.
    """
    for rows in (early, calibration):
        _refuse_one_sided(rows, recipe.training)
    inputs = inputs_of(recipe.signals, known)
    earlier = _boost(early, inputs, recipe).predict(encode(calibration, inputs), raw_score=True)
    booster = _boost(known, inputs, recipe)
    expected = np.asarray(booster.predict(encode(known.head(1), inputs), pred_contrib=True))[0, -1]
    return ChurnModel(
        booster_text=booster.model_to_string(num_iteration=-1),
        inputs=inputs,
        calibrator=calibrate(np.asarray(earlier), calibration[CHURNED].to_numpy()),
        base_margin=float(expected),
        typical=_typical(calibration, inputs),
        label=recipe.label,
        identity=recipe.identity,
    )


def inputs_of(signals: tuple[Signal, ...], rows: pd.DataFrame) -> tuple[Input, ...]:
    """The signals as a model of these rows reads them."""
    return tuple(_input(one, rows) for one in signals)


def calibrate(margins: np.ndarray, churned: np.ndarray) -> Calibrator:
    """The logistic curve of greatest likelihood on the margins, never falling (Platt, 1999)."""

    def loss(parameters: np.ndarray) -> float:
        logits = parameters[0] * margins + parameters[1]
        return float(-np.mean(churned * log_expit(logits) + (1 - churned) * log_expit(-logits)))

    start = np.array([1.0, 0.0])
    found = minimize(loss, start, method="L-BFGS-B", bounds=[(SMALLEST_SLOPE, None), (None, None)])
    return Calibrator(slope=float(found.x[0]), intercept=float(found.x[1]))


def _refuse_one_sided(rows: pd.DataFrame, training: TrainingSettings) -> None:
    churned = int(rows[CHURNED].sum())
    fewest = min(churned, len(rows) - churned)
    if fewest < training.fewest_churned:
        what = "churned" if fewest == churned else "stayed"
        days = f"{rows.as_of.min():%Y-%m-%d} to {rows.as_of.max():%Y-%m-%d}" if len(rows) else "none"
        raise NothingToLearn(
            f"Of {len(rows)} snapshots ({days}) only {fewest} {what}; at least {training.fewest_churned} are needed.",
            "There is nothing to learn from this yet: bring a longer history or a longer label.horizon_days.",
        )


def _input(one: Signal, rows: pd.DataFrame) -> Input:
    values = sorted(rows[one.name].dropna().unique()) if one.kind == "category" else ()
    return Input(
        one.name, one.family, one.label, one.sentence, one.unit, one.kind, one.actionable, tuple(map(str, values))
    )


def _boost(rows: pd.DataFrame, inputs: tuple[Input, ...], recipe: Recipe) -> lightgbm.Booster:
    names = [one.name for one in inputs]
    data = lightgbm.Dataset(
        encode(rows, inputs),
        rows[CHURNED].to_numpy(),
        feature_name=names,
        categorical_feature=[one.name for one in inputs if one.kind == "category"],
    )
    return lightgbm.train(_parameters(recipe, rows.size), data, num_boost_round=recipe.training.trees)


def _parameters(recipe: Recipe, cells: int) -> dict[str, Any]:
    training = recipe.training
    return {
        "objective": "binary",
        "num_leaves": training.leaves,
        "learning_rate": training.learning_rate,
        "min_data_in_leaf": training.smallest_leaf,
        "feature_fraction": training.signal_share,
        "bagging_fraction": training.row_share,
        "bagging_freq": 1,
        "lambda_l2": training.ridge,
        "monotone_constraints": [one.direction for one in recipe.signals],
        "seed": training.seed,
        # On little data, threads that share their cores with anything else only wait for each other.
        "num_threads": training.threads if cells > MANY_CELLS else 1,
        "deterministic": True,
        "force_row_wise": True,
        "verbose": -1,
    }


def _typical(rows: pd.DataFrame, inputs: tuple[Input, ...]) -> dict[str, dict[str, Any]]:
    groups = {EVERYONE: rows}
    if "segment" in rows:
        groups |= {str(segment): part for segment, part in rows.groupby("segment", observed=True)}
    return {segment: {one.name: _middle(part[one.name], one) for one in inputs} for segment, part in groups.items()}


def _middle(values: pd.Series, one: Input) -> Any:
    there = values.dropna()
    if there.empty:
        return None
    return float(there.astype("float64").median()) if one.kind == "number" else str(there.mode().iloc[0])
