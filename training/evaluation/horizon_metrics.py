"""Reach: how true the risks within every horizon are, each on the newest test days whose answers are known for it."""

from typing import Any

import numpy as np

from configs.settings import EvaluationSettings
from training.evaluation.backtest import KEY, Origin
from training.evaluation.scorecard import Cases, evaluate
from training.labels.departures import churned_column

FIGURES = ("rate", "auc", "log_loss", "brier")
Document = dict[str, Any]


def judged_horizons(origins: list[Origin], settings: EvaluationSettings) -> Document:
    """What is said of each horizon, by its days; None where no origin's answers within it are known yet.

    `origins` come newest first, and the horizons are those that the model of the newest gives.
    """
    return {str(days): _judged(days, origins, settings) for days in origins[0].risks_within}


def _judged(days: int, origins: list[Origin], settings: EvaluationSettings) -> Document | None:
    for one in origins:
        if days in one.risks_within and churned_column(days) in one.test:
            known = one.test[churned_column(days)].notna().to_numpy()
            churned = one.test[churned_column(days)].to_numpy(dtype="float64")[known]
            if 0 < churned.sum() < len(churned):
                accounts = one.test[KEY].to_numpy(dtype="str")[known]
                return _figures(one, Cases(churned, accounts), one.risks_within[days][known], settings)
    return None


def _figures(origin: Origin, cases: Cases, risks: np.ndarray, settings: EvaluationSettings) -> Document:
    judged = evaluate(cases, risks, settings)
    figures = {k: v for k, v in judged.figures().items() if k.removesuffix("_low").removesuffix("_high") in FIGURES}
    counts = {"snapshots": judged.snapshots, "churned": judged.churned, "mean_risk": judged.mean_risk}
    days = [f"{day:%Y-%m-%d}" for day in origin.split.test]
    return {"test": days, **counts, **figures, "is_calibrated": judged.is_calibrated}
