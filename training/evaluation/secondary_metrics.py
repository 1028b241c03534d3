"""Secondary metrics: how well the risks do for every horizon, and how far they warn of contraction."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from configs.sections.evaluation import EvaluationSettings
from features.tables.contract import ACCOUNT_ID
from training.evaluation.backtest import BacktestFold
from training.evaluation.scorecard import EvaluationData, Scorecard, evaluate_risks
from training.labels.definition import CHURNED, CONTRACTED, churned_column

HORIZON_METRICS, CONTRACTION_METRICS = ("rate", "auc", "log_loss", "brier"), ("rate", "auc")
COUNTS = ("snapshots", "churned", "mean_risk")


@dataclass(frozen=True)
class HorizonMetrics:
    """The metrics of the risks for one horizon, on the test days of the newest fold with known labels."""

    test_days: tuple[str, ...]
    is_calibrated: bool
    metrics: Mapping[str, int | float]


def evaluate_horizons(folds: Sequence[BacktestFold], settings: EvaluationSettings) -> dict[str, HorizonMetrics | None]:
    """The metrics of each horizon by its days, on the newest fold with known labels; None if no fold has any.

    `folds` come newest first; the horizons are those of the newest fold's model.
    """
    return {str(days): _evaluate_horizon(days, folds, settings) for days in folds[0].risks_by_horizon}


def evaluate_contraction(
    folds: Sequence[BacktestFold], settings: EvaluationSettings
) -> dict[str, dict[str, float] | None]:
    """How the risk of churn ranks contracted accounts among those that stayed, and lost revenue of either kind.

    It is measured on the newest fold; `churned` counts the positive labels. No model is fitted on contraction. Empty if
    the data set has no subscriptions; None if no account, or every one, has the label.
    """
    newest = folds[0]
    if CONTRACTED not in newest.test:
        return {}
    contracted, churned = (newest.test[name].to_numpy(dtype="float64") for name in (CONTRACTED, CHURNED))
    among_stayed = np.where(churned == 0, contracted, np.nan)
    labels = {"contracted": among_stayed, "churned or contracted": np.where(churned == 1, 1.0, among_stayed)}
    scorecards = {name: _evaluate_known(newest, label, newest.risks, settings) for name, label in labels.items()}
    return {name: card and _select_metrics(card, CONTRACTION_METRICS) for name, card in scorecards.items()}


def _evaluate_horizon(days: int, folds: Sequence[BacktestFold], settings: EvaluationSettings) -> HorizonMetrics | None:
    column = churned_column(days)
    for fold in folds:
        if days in fold.risks_by_horizon and column in fold.test:
            labels = fold.test[column].to_numpy(dtype="float64")
            scorecard = _evaluate_known(fold, labels, fold.risks_by_horizon[days], settings)
            if scorecard:
                test_days = tuple(f"{day:%Y-%m-%d}" for day in fold.split.test)
                return HorizonMetrics(test_days, scorecard.is_calibrated, _select_metrics(scorecard, HORIZON_METRICS))
    return None


def _evaluate_known(
    fold: BacktestFold, labels: np.ndarray, risks: np.ndarray, settings: EvaluationSettings
) -> Scorecard | None:
    """The scorecard of the snapshots with a known label (not NaN); None if these have only one outcome."""
    is_known = ~np.isnan(labels)
    data = EvaluationData(labels, fold.test[ACCOUNT_ID].to_numpy(dtype="str")).subset(is_known)
    if not 0 < data.churned.sum() < len(data.churned):
        return None
    return evaluate_risks(data, risks[is_known], settings)


def _select_metrics(scorecard: Scorecard, names: tuple[str, ...]) -> dict[str, float]:
    """These metrics with their bounds, and the counts."""
    keys = {*COUNTS, *(f"{name}{end}" for name in names for end in ("", "_low", "_high"))}
    return {key: value for key, value in scorecard.metrics().items() if key in keys}
