"""Learning: trees, and beside them a line where later days say that it makes margins truer.

The line is laid where its gain in likelihood on later days is one that a useless line reaches once in a hundred times
(Wilks, 1938), all snapshots of an account counting as one.
"""

from dataclasses import dataclass

import lightgbm
import numpy as np
import pandas as pd
from scipy.stats import chi2

from configs.settings import TrainingSettings
from training.data.cluster_bootstrap import of_some_accounts
from training.data.training_set import CHURNED
from training.model.booster import grow, grow_until_truest, margins_of
from training.model.calibrator_fit import curve_loss, logistic_curve
from training.model.churn_model import Input, encode
from training.model.linear_fit import fit_line
from training.model.linear_model import Line

KEY = "account_id"
CERTAINTY = 0.99
# Of more snapshots a regression on hundreds of signals learns next to nothing more.
MOST_SNAPSHOTS = 30_000


@dataclass(frozen=True)
class Learned:
    """What some snapshots taught: the first `trees` of a booster, and the line beside them if there is one."""

    booster: lightgbm.Booster
    trees: int
    line: Line | None

    def margins(self, matrix: np.ndarray) -> np.ndarray:
        """The margin of each row of an encoded matrix."""
        found = margins_of(self.booster, matrix, self.trees)
        return found if self.line is None else found + self.line.margins(matrix)

    def shares(self, matrix: np.ndarray) -> tuple[np.ndarray, float]:
        """Each signal's share of the margin, shape (rows, inputs), and the margin that the shares are added to."""
        found = np.asarray(self.booster.predict(matrix, pred_contrib=True, num_threads=1, num_iteration=self.trees))
        shares, base = found[:, :-1], float(found[0, -1])
        return (shares, base) if self.line is None else (shares + self.line.shares(matrix), base + self.line.level)


def learn_until_truest(
    early: pd.DataFrame, inputs: tuple[Input, ...], training: TrainingSettings, later: pd.DataFrame
) -> Learned:
    """What `early` snapshots teach, with as many trees as tell later ones best, and a line if they ask for it."""
    booster, trees = grow_until_truest(early, inputs, training, later)
    alone = Learned(booster, trees, None)
    if training.linear_prior_sd == 0:
        return alone
    both = Learned(booster, trees, _fitted(early, inputs, training))
    return both if both.line and _is_truer(both, alone, later, inputs) else alone


def learn_alike(
    rows: pd.DataFrame, inputs: tuple[Input, ...], training: TrainingSettings, *, trees: int, with_line: bool
) -> Learned:
    """What other snapshots teach with so many trees, or all there is to grow, with a line or without."""
    booster = grow(rows, inputs, training, trees)
    return Learned(booster, booster.num_trees(), _fitted(rows, inputs, training) if with_line else None)


def _is_truer(both: Learned, alone: Learned, later: pd.DataFrame, inputs: tuple[Input, ...]) -> bool:
    matrix, churned = encode(later, inputs), later[CHURNED].to_numpy()
    before, after = (_loss(one.margins(matrix), churned) for one in (alone, both))
    return bool(2 * (before - after) * later[KEY].nunique() > chi2.ppf(CERTAINTY, df=1))


def _fitted(rows: pd.DataFrame, inputs: tuple[Input, ...], training: TrainingSettings) -> Line | None:
    """The line of some of the rows; None where too few of these churned or stayed."""
    some = of_some_accounts(rows, MOST_SNAPSHOTS)
    churned = some[CHURNED].to_numpy()
    if min(churned.sum(), len(some) - churned.sum()) < training.min_churned:
        return None
    return fit_line(encode(some, inputs), churned, inputs, training.linear_prior_sd)


def _loss(margins: np.ndarray, churned: np.ndarray) -> float:
    """The mean surprise at the answers of the best logistic curve on these margins."""
    slope, level = logistic_curve(margins, churned)
    return curve_loss(slope * margins + level, churned)
