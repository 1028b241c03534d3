"""The second label: how the risk of leaving ranks who shrinks without leaving.

Contraction is a loss of its own, told apart from churn (`training/labels/contraction.py`). No model is fitted on it
here: the
figures say how far the risk of leaving already warns of it.
"""

from typing import Any

import numpy as np

from configs.settings import EvaluationSettings
from training.data.training_set import CHURNED, CONTRACTED
from training.evaluation.backtest import KEY, Origin
from training.evaluation.scorecard import Cases, evaluate

KEPT = ("rate", "rate_low", "rate_high", "auc", "auc_low", "auc_high", "snapshots", "mean_risk")


def judged_contraction(origins: list[Origin], settings: EvaluationSettings) -> dict[str, Any]:
    """Rate and ranking, over the newest origin, of those who shrank among who stayed, and of those who did either.

    Empty where the data tell no contraction; one of the two is None where nobody or everybody did it.
    """
    newest = origins[0]
    if CONTRACTED not in newest.test:
        return {}
    shrank, left = (newest.test[name].to_numpy(dtype="float64") for name in (CONTRACTED, CHURNED))
    known = ~np.isnan(shrank)
    return {
        "contracted": _figures(newest, shrank, known & (left == 0), settings),
        "churned or contracted": _figures(newest, np.fmax(shrank, left), known | (left == 1), settings),
    }


def _figures(origin: Origin, answers: np.ndarray, among: np.ndarray, settings: EvaluationSettings) -> dict | None:
    told = answers[among]
    if not 0 < told.sum() < len(told):
        return None
    accounts = origin.test[KEY].to_numpy(dtype="str")[among]
    figures = evaluate(Cases(told, accounts), origin.risks[among], settings).figures()
    return {"events": int(told.sum()), **{name: figures[name] for name in KEPT if name in figures}}
