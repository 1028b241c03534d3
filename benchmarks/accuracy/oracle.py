"""The possible gain: how close risks come to the true probabilities of a simulated company, and where the rest is lost.

The lowest possible log loss is that of the true probability, which depends on the hidden state of an account. Losses
are expectations over the true probability, so they have no label noise; its Monte Carlo error is corrected for. Three
steps lead from there to a model. Each is a model trained on the true probabilities and tested on held-out accounts:

- `state`: sees every hidden part of the hazard, and the contract: what trees of this kind can express at all;
- `visible state`: the same without the part that no table reflects;
- `signals`: sees the signals only (the signal ceiling). What a model trained on labels loses below it is estimation
  error; what lies above it is out of reach for any model of these signals.
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
EPSILON = 1e-9
CEILING = "signals"  # no model of these signals gains more
HELD_OUT_SHARE = 4  # every fourth account tests the steps
UNSEEN = "logit_unseen"
TRUE_RISK, TRUE_ERROR = "true_risk", "true_error"
CONTRACT = frozenset({"contract", "billing"})
STOPPING = 5  # every fifth of the other accounts is for early stopping
MAX_TREES, PATIENCE = 2_000, 50
STEP = {"objective": "cross_entropy", "learning_rate": 0.05, "num_leaves": 31, "min_data_in_leaf": 50}
STEP |= {"feature_fraction": 0.5, "max_bin": 127, "num_threads": 2, "verbose": -1, "seed": 7}


@dataclass(frozen=True)
class GainShare:
    """The share of the possible gain over the base rate that risks reach, and their mean distance from the true risk.

    `of_ceiling` is their gain as a share of that of the signal ceiling, on the held-out accounts.
    """

    share: Interval
    realised_share: float
    gap_to_truth: float
    of_ceiling: Interval | None = None


@dataclass(frozen=True)
class Truth:
    """The true probability of each test snapshot, its Monte Carlo error, its label, and its account."""

    probability: np.ndarray
    error: np.ndarray
    churned: np.ndarray
    accounts: np.ndarray
    base_rate: float

    def part(self, where: np.ndarray) -> "Truth":
        """The truth of some of the snapshots."""
        arrays = (self.probability, self.error, self.churned, self.accounts)
        probability, error, churned, accounts = (values[where] for values in arrays)
        return Truth(probability, error, churned, accounts, self.base_rate)


def read_truth(company: Path, horizon_days: int) -> pd.DataFrame:
    """The true probabilities within the horizon, and the hidden parts, of every account and month's start."""
    rows = arrow.dataset(company / "truth/risks").to_table().to_pandas()
    columns = {f"churn_{horizon_days}": TRUE_RISK, f"error_{horizon_days}": TRUE_ERROR}
    return rows.assign(as_of=pd.to_datetime(rows.as_of).astype("datetime64[us]")).rename(columns=columns)


def with_truth(rows: pd.DataFrame, truth: pd.DataFrame) -> pd.DataFrame:
    """Snapshots with their true probabilities, in the same order."""
    return rows.merge(truth, on=[ACCOUNT_ID, "as_of"], how="left", validate="one_to_one")


def truth_of(test: pd.DataFrame, base_rate: float) -> Truth:
    """The truth of test snapshots that `with_truth` made."""
    probability, error = (test[name].to_numpy(dtype="float64") for name in (TRUE_RISK, TRUE_ERROR))
    return Truth(probability, error, test[CHURNED].to_numpy(), test[ACCOUNT_ID].to_numpy(dtype="str"), base_rate)


def measure_gain(truth: Truth, risks: np.ndarray) -> GainShare:
    """The gain of risks compared with that of the true probabilities."""
    base = np.full(len(risks), truth.base_rate)
    realised = [_log_loss(truth.churned, risk_array).mean() for risk_array in (base, risks, truth.probability)]
    table = calibration_table(truth.probability, risks)
    gaps = (table.mean_risk - table.churned / table.snapshots).abs()
    return GainShare(
        _share(truth, _expected_gain(truth, risks), _expected_loss(truth, base) - _lowest_expected_loss(truth)),
        float((realised[0] - realised[1]) / (realised[0] - realised[2])),
        float(np.average(gaps, weights=table.snapshots)),
    )


def share_of_ceiling_gain(truth: Truth, risks: np.ndarray, ceiling: np.ndarray) -> Interval:
    """The gain of risks as a share of that of the signal ceiling, on the same snapshots."""
    return _share(truth, _expected_gain(truth, risks), _expected_gain(truth, ceiling))


def steps(train: pd.DataFrame, selected: pd.DataFrame, inputs: tuple[ModelInput, ...]) -> dict[str, np.ndarray]:
    """The risks that each step gives to the `selected` snapshots of held-out accounts.

    Both tables come from `with_truth`.
    """
    learned = train[~_is_one_in(HELD_OUT_SHARE, train)]
    hidden = [name for name in train.columns if name.startswith("logit_")]
    contract = tuple(model_input for model_input in inputs if model_input.family in CONTRACT)
    views = {
        "state": StepInputs(contract, tuple(hidden)),
        "visible state": StepInputs(contract, tuple(name for name in hidden if name != UNSEEN)),
        CEILING: StepInputs(inputs),
    }
    return {name: _oracle_risks(view, learned, selected) for name, view in views.items()}


def is_held_out(rows: pd.DataFrame) -> np.ndarray:
    """Which snapshots test the steps: those of every fourth account, by a hash of its id."""
    return _is_one_in(HELD_OUT_SHARE, rows)


def _is_one_in(several: int, rows: pd.DataFrame, salt: str = "") -> np.ndarray:
    return np.array([zlib.crc32(f"{salt}{name}".encode()) % several == 0 for name in rows[ACCOUNT_ID]])


def _share(truth: Truth, gained: np.ndarray, available: np.ndarray) -> Interval:
    """One gain as a share of another; the interval resamples accounts."""
    weights = bootstrap_weights(truth.accounts, RESAMPLES)
    resampled = np.concatenate([(batch @ gained) / (batch @ available) for batch in weights])
    return Interval(float(gained.sum() / available.sum()), *percentile_interval(resampled))


def _expected_gain(truth: Truth, risks: np.ndarray) -> np.ndarray:
    """How much lower the expected log loss of each snapshot is than that of the base rate."""
    return _expected_loss(truth, np.full(len(risks), truth.base_rate)) - _expected_loss(truth, risks)


@dataclass(frozen=True)
class StepInputs:
    """The inputs of a step: signals, and hidden parts of the hazard."""

    signals: tuple[ModelInput, ...]
    hidden: tuple[str, ...] = ()

    def matrix(self, rows: pd.DataFrame) -> np.ndarray:
        return np.column_stack([encode(rows, self.signals), rows[list(self.hidden)].to_numpy(dtype="float64")])


def _oracle_risks(view: StepInputs, learned: pd.DataFrame, selected: pd.DataFrame) -> np.ndarray:
    """The risks of a model trained on the true probabilities, stopped early on other accounts."""
    import lightgbm

    categories = [column for column, signal in enumerate(view.signals) if signal.kind == "category"]
    stopping = _is_one_in(STOPPING, learned, salt="stop ")
    matrix, true = view.matrix(learned), learned[TRUE_RISK].to_numpy()
    data = lightgbm.Dataset(matrix[~stopping], true[~stopping], categorical_feature=categories)
    others = lightgbm.Dataset(matrix[stopping], true[stopping], reference=data)
    stop = lightgbm.early_stopping(PATIENCE, verbose=False)
    booster = lightgbm.train(STEP, data, MAX_TREES, valid_sets=[others], callbacks=[stop])
    return np.asarray(booster.predict(view.matrix(selected)))


def _expected_loss(truth: Truth, risks: np.ndarray) -> np.ndarray:
    """The expected log loss of each snapshot."""
    return _log_loss(truth.probability, risks)


def _lowest_expected_loss(truth: Truth) -> np.ndarray:
    """The expected log loss of the true probability.

    It is concave, so the Monte Carlo error of the probability makes it look smaller; this is corrected to second order.
    """
    p = truth.probability
    correction = np.divide(truth.error**2, 2 * p * (1 - p), out=np.zeros(len(p)), where=truth.error > 0)
    return -(xlogy(p, p) + xlogy(1 - p, 1 - p)) + correction


def _log_loss(churned: np.ndarray, risks: np.ndarray) -> np.ndarray:
    clipped = np.clip(risks, EPSILON, 1 - EPSILON)
    return -(churned * np.log(clipped) + (1 - churned) * np.log1p(-clipped))
