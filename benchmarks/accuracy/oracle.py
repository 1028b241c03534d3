"""The limit: how near risks come to the true probabilities of a simulated company, and where the rest is lost.

The limit of the log loss is that of the true probability itself, which knows the hidden state of an account. Losses are
taken in expectation over the true probability, so no answer's chance is in them; its own Monte Carlo error is corrected
for. Between limit and model lie three steps, each a model fitted on the true probability itself, so that no chance of
answers is in it either, and judged on accounts it did not learn from:

- `state`: knows every hidden part of the hazard, and the contract: what trees of this kind can say at all;
- `visible state`: the same without the part that no table shows anything of;
- `signals`: knows the signals alone. What a model on answers loses below this is estimation; what lies above, no model
  of these signals can reach.
"""

import zlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow.dataset as arrow
from scipy.special import xlogy

from features.tables.contract import ACCOUNT_ID
from training.data.cluster_bootstrap import bootstrap_weights, percentile_interval
from training.evaluation.scorecard import Interval, calibration_table
from training.labels.definition import CHURNED
from training.model.churn_model import ModelInput, encode

RESAMPLES = 1_000
SURE = 1e-9
CEILING = "signals"  # the step that no model of these signals passes
HELD_OUT = 4  # every fourth account judges the steps
UNSEEN = "logit_unseen"
TRUE_RISK, TRUE_ERROR = "true_risk", "true_error"
CONTRACT = frozenset({"contract", "billing"})
STOPPING = 5  # every fifth of the other accounts says when to stop
MOST_TREES, PATIENCE = 2_000, 50
STEP = {"objective": "cross_entropy", "learning_rate": 0.05, "num_leaves": 31, "min_data_in_leaf": 50}
STEP |= {"feature_fraction": 0.5, "max_bin": 127, "num_threads": 2, "verbose": -1, "seed": 7}


@dataclass(frozen=True)
class Reached:
    """The share of the limit's gain over the base rate that risks reach, and their mean distance from the truth.

    `of_shown` is their gain as a share of what the signals show, on the accounts that judge the steps.
    """

    share: Interval
    realised_share: float
    gap_to_truth: float
    of_shown: Interval | None = None


@dataclass(frozen=True)
class Truth:
    """The true probability of each test snapshot, its Monte Carlo error, the answer, and whose it is."""

    probability: np.ndarray
    error: np.ndarray
    churned: np.ndarray
    accounts: np.ndarray
    base_rate: float

    def part(self, where: np.ndarray) -> "Truth":
        """Of some of the snapshots."""
        arrays = (self.probability, self.error, self.churned, self.accounts)
        probability, error, churned, accounts = (values[where] for values in arrays)
        return Truth(probability, error, churned, accounts, self.base_rate)


def read_truth(company: Path, horizon_days: int) -> pd.DataFrame:
    """The true probabilities within the horizon, and the hidden parts, of every account and month's start."""
    rows = arrow.dataset(company / "truth/risks").to_table().to_pandas()
    columns = {f"churn_{horizon_days}": TRUE_RISK, f"error_{horizon_days}": TRUE_ERROR}
    return rows.assign(as_of=pd.to_datetime(rows.as_of).astype("datetime64[us]")).rename(columns=columns)


def with_truth(rows: pd.DataFrame, truth: pd.DataFrame) -> pd.DataFrame:
    """Snapshots with what was true of them, in their order."""
    return rows.merge(truth, on=[ACCOUNT_ID, "as_of"], how="left", validate="one_to_one")


def truth_of(test: pd.DataFrame, base_rate: float) -> Truth:
    """The truth of test snapshots that `with_truth` made."""
    probability, error = (test[name].to_numpy(dtype="float64") for name in (TRUE_RISK, TRUE_ERROR))
    return Truth(probability, error, test[CHURNED].to_numpy(), test[ACCOUNT_ID].to_numpy(dtype="str"), base_rate)


def reached(truth: Truth, risks: np.ndarray) -> Reached:
    """How near these risks come."""
    base = np.full(len(risks), truth.base_rate)
    realised = [_surprise(truth.churned, risk_array).mean() for risk_array in (base, risks, truth.probability)]
    table = calibration_table(truth.probability, risks)
    gaps = (table.mean_risk - table.churned / table.snapshots).abs()
    return Reached(
        _share(truth, _gained(truth, risks), _expected(truth, base) - _least(truth)),
        float((realised[0] - realised[1]) / (realised[0] - realised[2])),
        float(np.average(gaps, weights=table.snapshots)),
    )


def of_shown(truth: Truth, risks: np.ndarray, shown: np.ndarray) -> Interval:
    """The gain of these risks as a share of that of what the signals show, on the same snapshots."""
    return _share(truth, _gained(truth, risks), _gained(truth, shown))


def steps(train: pd.DataFrame, judged: pd.DataFrame, inputs: tuple[ModelInput, ...]) -> dict[str, np.ndarray]:
    """What each step between limit and model makes of the `judged` snapshots, whose accounts it did not learn from.

    Both hold the truth of `with_truth`.
    """
    learned = train[~_is_one_in(HELD_OUT, train)]
    hidden = [name for name in train.columns if name.startswith("logit_")]
    contract = tuple(model_input for model_input in inputs if model_input.family in CONTRACT)
    views = {
        "state": View(contract, tuple(hidden)),
        "visible state": View(contract, tuple(name for name in hidden if name != UNSEEN)),
        CEILING: View(inputs),
    }
    return {name: _oracle_risks(view, learned, judged) for name, view in views.items()}


def held_out(rows: pd.DataFrame) -> np.ndarray:
    """Whose snapshots judge the steps: every fourth account's, by a hash of its name."""
    return _is_one_in(HELD_OUT, rows)


def _is_one_in(several: int, rows: pd.DataFrame, salt: str = "") -> np.ndarray:
    return np.array([zlib.crc32(f"{salt}{name}".encode()) % several == 0 for name in rows[ACCOUNT_ID]])


def _share(truth: Truth, gained: np.ndarray, available: np.ndarray) -> Interval:
    """One gain as a share of another, whole accounts drawn again for its interval."""
    weights = bootstrap_weights(truth.accounts, RESAMPLES)
    drawn = np.concatenate([(batch @ gained) / (batch @ available) for batch in weights])
    return Interval(float(gained.sum() / available.sum()), *percentile_interval(drawn))


def _gained(truth: Truth, risks: np.ndarray) -> np.ndarray:
    """The expected surprise that each snapshot is spared, over the base rate."""
    return _expected(truth, np.full(len(risks), truth.base_rate)) - _expected(truth, risks)


@dataclass(frozen=True)
class View:
    """What a step knows: signals, and hidden parts of the truth."""

    signals: tuple[ModelInput, ...]
    hidden: tuple[str, ...] = ()

    def matrix(self, rows: pd.DataFrame) -> np.ndarray:
        return np.column_stack([encode(rows, self.signals), rows[list(self.hidden)].to_numpy(dtype="float64")])


def _oracle_risks(view: View, learned: pd.DataFrame, judged: pd.DataFrame) -> np.ndarray:
    """The probabilities of a model of the true probability, stopped where other accounts say that it is truest."""
    import lightgbm

    categories = [column for column, signal in enumerate(view.signals) if signal.kind == "category"]
    stopping = _is_one_in(STOPPING, learned, salt="stop ")
    matrix, true = view.matrix(learned), learned[TRUE_RISK].to_numpy()
    data = lightgbm.Dataset(matrix[~stopping], true[~stopping], categorical_feature=categories)
    others = lightgbm.Dataset(matrix[stopping], true[stopping], reference=data)
    stop = lightgbm.early_stopping(PATIENCE, verbose=False)
    booster = lightgbm.train(STEP, data, MOST_TREES, valid_sets=[others], callbacks=[stop])
    return np.asarray(booster.predict(view.matrix(judged)))


def _expected(truth: Truth, risks: np.ndarray) -> np.ndarray:
    """The expected surprise of each snapshot at its answer."""
    return _surprise(truth.probability, risks)


def _least(truth: Truth) -> np.ndarray:
    """The expected surprise of one who knows the true probability.

    It is concave, so the Monte Carlo error of the probability makes it look smaller: to second order by this much.
    """
    p = truth.probability
    missed = np.divide(truth.error**2, 2 * p * (1 - p), out=np.zeros(len(p)), where=truth.error > 0)
    return -(xlogy(p, p) + xlogy(1 - p, 1 - p)) + missed


def _surprise(churned: np.ndarray, risks: np.ndarray) -> np.ndarray:
    sure = np.clip(risks, SURE, 1 - SURE)
    return -(churned * np.log(sure) + (1 - churned) * np.log1p(-sure))
