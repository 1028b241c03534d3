"""Ablation: what a model loses without a family of signals, and what a model on usage alone would achieve.

Each variant is fitted on the fit days and calibrated on the days after, with larger steps than the served model, and
evaluated on the newest test days against one with all signals that is fitted the same way. A family whose information
others share costs little when it is removed; that does not make it useless.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy.special import expit

from configs.sections.training import TrainingSettings
from configs.settings import Settings
from features.reports.dictionary import required_tables
from features.signals.base import Signal
from training.calibration.calibrator_fit import fit_logistic_curve
from training.data.training_set import TrainingSet
from training.evaluation.backtest import BacktestFold, pooled_data, rows_on
from training.evaluation.paired_difference import PairedMetric, PairedRisks, compare_risks
from training.labels.definition import CHURNED
from training.model.churn_model import ChurnModel, ModelInput, encode
from training.model.ensemble import fit_with_early_stopping

METRICS = ("log_loss", "auc")
# A third of the trees in a third of the time; every variant is fitted the same way.
SPEED_UP, MAX_LEARNING_RATE = 3, 0.1
USAGE_ONLY = "usage only"


@dataclass(frozen=True)
class AblationResult:
    """A model with fewer signals: its metrics beside those with all of them, and their paired difference."""

    name: str
    signal_count: int
    metrics: dict[str, PairedMetric]


def run_ablations(
    model: ChurnModel, training_set: TrainingSet, newest: BacktestFold, settings: Settings
) -> Iterator[AblationResult]:
    """The model without each family, and on usage alone; none if `evaluation.ablation_snapshots` is 0."""
    max_snapshots = settings.evaluation.ablation_snapshots
    if not max_snapshots:
        return
    days = (newest.split.fit, newest.split.calibration)
    fit, calibration = (_sample(rows_on(training_set.rows, group), max_snapshots) for group in days)
    training = _faster(settings.training, with_linear_model=model.linear_model is not None)

    def predict(inputs: tuple[ModelInput, ...]) -> np.ndarray:
        fitted = fit_with_early_stopping(fit, inputs, training, calibration)
        margins, test_margins = (fitted.predict_margins(encode(rows, inputs)) for rows in (calibration, newest.test))
        slope, intercept = fit_logistic_curve(margins, calibration[CHURNED].to_numpy())
        return expit(slope * test_margins + intercept)

    all_signals, data = predict(model.inputs), pooled_data([newest])
    for name, signal_names in ablation_variants(training_set.history.signals):
        inputs = tuple(signal for signal in model.inputs if signal.name in signal_names)
        compared = compare_risks(PairedRisks(data, predict(inputs), all_signals), settings.evaluation)
        yield AblationResult(name, len(inputs), {metric: compared[metric] for metric in METRICS if metric in compared})


def ablation_variants(signals: tuple[Signal, ...]) -> Iterator[tuple[str, set[str]]]:
    """The name of each variant and the names of the signals that it keeps."""
    names = {signal.name for signal in signals}
    families = dict.fromkeys(signal.family for signal in signals)
    for family in families if len(families) > 1 else ():
        yield f"without {family}", {signal.name for signal in signals if signal.family != family}
    usage = {name for name, tables in required_tables(signals).items() if tables == ("usage",)}
    if usage and usage != names:
        yield USAGE_ONLY, usage


def _faster(training: TrainingSettings, *, with_linear_model: bool) -> TrainingSettings:
    rate = max(training.learning_rate, min(SPEED_UP * training.learning_rate, MAX_LEARNING_RATE))
    prior_sd = training.linear_prior_sd if with_linear_model else 0
    return training.model_copy(update={"learning_rate": rate, "linear_prior_sd": prior_sd})


def _sample(rows: pd.DataFrame, max_snapshots: int) -> pd.DataFrame:
    """At most so many snapshots, the same in every run."""
    if len(rows) <= max_snapshots:
        return rows
    return rows.sample(max_snapshots, random_state=0).sort_index().reset_index(drop=True)
