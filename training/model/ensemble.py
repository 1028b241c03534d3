"""Ensemble: trees, with a linear model beside them if it improves the log loss on later days.

What is added, a linear model or larger trees, is kept if its gain in likelihood on later days is significant at 99 %
(Wilks, 1938), counting all snapshots of an account as one.
"""

from dataclasses import dataclass, replace

import lightgbm
import numpy as np
import pandas as pd
from scipy.stats import chi2

from configs.sections.training import TrainingSettings
from features.tables.contract import ACCOUNT_ID
from training.calibration.calibrator_fit import fit_logistic_curve, log_loss_of_log_odds
from training.data.cluster_bootstrap import sample_accounts
from training.labels.definition import CHURNED
from training.model.booster import fit_booster, fit_booster_with_early_stopping, patience, predict_margins
from training.model.churn_model import ModelInput, encode
from training.model.linear_fit import fit_linear_model
from training.model.linear_model import AdditiveLinearModel

MIN_CONFIDENCE = 0.99
# More snapshots hardly improve a regression on hundreds of signals.
LINEAR_MODEL_MAX_SNAPSHOTS = 30_000


@dataclass(frozen=True)
class FittedEnsemble:
    """The first `num_trees` of a booster with `num_leaves` each, and the linear model beside them if there is one."""

    booster: lightgbm.Booster
    num_trees: int
    num_leaves: int
    linear_model: AdditiveLinearModel | None

    def predict_margins(self, matrix: np.ndarray) -> np.ndarray:
        """The margin of each row of an encoded matrix."""
        margins = predict_margins(self.booster, matrix, self.num_trees)
        return margins if self.linear_model is None else margins + self.linear_model.predict_margins(matrix)

    def predict_contributions(self, matrix: np.ndarray) -> tuple[np.ndarray, float]:
        """Each signal's contribution to the margin, shape (rows, inputs), and the base margin they are added to."""
        columns = np.asarray(
            self.booster.predict(matrix, pred_contrib=True, num_threads=1, num_iteration=self.num_trees)
        )
        contributions, base_margin = columns[:, :-1], float(columns[0, -1])
        if self.linear_model is None:
            return contributions, base_margin
        linear = self.linear_model
        return contributions + linear.predict_contributions(matrix), base_margin + linear.intercept


def fit_with_early_stopping(
    rows: pd.DataFrame, inputs: tuple[ModelInput, ...], training: TrainingSettings, later: pd.DataFrame
) -> FittedEnsemble:
    """An ensemble fitted on `rows`; its trees, and whether it has a linear model, are chosen on `later`.

    While the trees are used up before they stop improving, trees with twice the leaves are tried: so many snapshots can
    teach more than the small trees hold.
    """
    best = _fit_trees(rows, inputs, training, later)
    while _is_used_up(best, training) and 2 * best.num_leaves <= training.max_num_leaves:
        larger = training.model_copy(update={"num_leaves": 2 * best.num_leaves})
        candidate = _fit_trees(rows, inputs, larger, later)
        if not _is_improvement(candidate, best, later, inputs):
            break
        best = candidate
    if training.linear_prior_sd == 0:
        return best
    both = replace(best, linear_model=_fit_linear_model(rows, inputs, training))
    return both if both.linear_model and _is_improvement(both, best, later, inputs) else best


def refit(
    rows: pd.DataFrame, inputs: tuple[ModelInput, ...], training: TrainingSettings, *, like: FittedEnsemble
) -> FittedEnsemble:
    """An ensemble of other rows: as many trees as `like`, or all that can grow, and a linear model if it has one."""
    same_leaves = training.model_copy(update={"num_leaves": like.num_leaves})
    booster = fit_booster(rows, inputs, same_leaves, like.num_trees)
    linear_model = None if like.linear_model is None else _fit_linear_model(rows, inputs, training)
    return FittedEnsemble(booster, booster.num_trees(), like.num_leaves, linear_model)


def _fit_trees(
    rows: pd.DataFrame, inputs: tuple[ModelInput, ...], training: TrainingSettings, later: pd.DataFrame
) -> FittedEnsemble:
    booster, num_trees = fit_booster_with_early_stopping(rows, inputs, training, later)
    return FittedEnsemble(booster, num_trees, training.num_leaves, None)


def _is_used_up(fitted: FittedEnsemble, training: TrainingSettings) -> bool:
    return fitted.num_trees > training.num_iterations - patience(training)


def _is_improvement(
    candidate: FittedEnsemble, simpler: FittedEnsemble, later: pd.DataFrame, inputs: tuple[ModelInput, ...]
) -> bool:
    matrix, churned = encode(later, inputs), later[CHURNED].to_numpy()
    before, after = (_calibrated_loss(fitted.predict_margins(matrix), churned) for fitted in (simpler, candidate))
    return bool(2 * (before - after) * later[ACCOUNT_ID].nunique() > chi2.ppf(MIN_CONFIDENCE, df=1))


def _fit_linear_model(
    rows: pd.DataFrame, inputs: tuple[ModelInput, ...], training: TrainingSettings
) -> AdditiveLinearModel | None:
    """A linear model of a sample of the rows; None if too few of these churned or stayed."""
    sample = sample_accounts(rows, LINEAR_MODEL_MAX_SNAPSHOTS)
    churned = sample[CHURNED].to_numpy()
    if min(churned.sum(), len(sample) - churned.sum()) < training.min_churned:
        return None
    return fit_linear_model(encode(sample, inputs), churned, inputs, training.linear_prior_sd)


def _calibrated_loss(margins: np.ndarray, churned: np.ndarray) -> float:
    """The mean log loss of the best logistic curve on these margins."""
    slope, intercept = fit_logistic_curve(margins, churned)
    return log_loss_of_log_odds(slope * margins + intercept, churned)
