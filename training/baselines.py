"""Baselines: what a model must beat to be worth having."""

from dataclasses import dataclass

import numpy as np
import pandas as pd
from sklearn.metrics import roc_auc_score

from training.model import Input
from training.panel import CHURNED

GROUPS = 10


@dataclass(frozen=True)
class Baseline:
    """The risks that a simple rule gives the test snapshots."""

    name: str
    risks: np.ndarray


def base_rate(learned: pd.DataFrame, test: pd.DataFrame) -> Baseline:
    """Everyone at the churn rate so far."""
    return Baseline("base rate", np.full(len(test), learned[CHURNED].mean()))


def one_signal(learned: pd.DataFrame, test: pd.DataFrame, inputs: tuple[Input, ...]) -> Baseline:
    """The churn rate so far among accounts alike in the one signal that told most about the snapshots learned from."""
    best = max((one for one in inputs), key=lambda one: _telling(learned, one))
    edges = _edges(learned[best.name], best)
    groups = _grouped(learned[best.name], best, edges)
    overall = learned[CHURNED].mean()
    # One added snapshot at the overall rate keeps an empty or tiny group from claiming certainty.
    totals = learned[CHURNED].groupby(groups).agg(["sum", "size"])
    rates = (totals["sum"] + overall) / (totals["size"] + 1)
    risks = _grouped(test[best.name], best, edges).map(rates).fillna(overall)
    return Baseline(f"one signal ({best.label})", risks.to_numpy(dtype="float64"))


def _telling(rows: pd.DataFrame, one: Input) -> float:
    groups = _grouped(rows[one.name], one, _edges(rows[one.name], one))
    return float(roc_auc_score(rows[CHURNED], groups.map(rows[CHURNED].groupby(groups).mean())))


def _edges(values: pd.Series, one: Input) -> np.ndarray:
    if one.kind == "category" or values.notna().sum() == 0:
        return np.empty(0)
    return np.unique(np.nanquantile(values.astype("float64"), np.linspace(0, 1, GROUPS + 1)[1:-1]))


def _grouped(values: pd.Series, one: Input, edges: np.ndarray) -> pd.Series:
    if one.kind == "category":
        return values.astype("string").fillna("missing")
    numbers = values.astype("float64")
    return pd.Series(np.where(numbers.isna(), -1, np.searchsorted(edges, numbers)), index=values.index)
