"""Fits every model on the same origins, and compares each with Oarlock: figures and differences with intervals.

A difference is paired: each resample takes the same accounts for both. A model is better if the whole interval of its
difference lies on one side, given the test days; `benchmarks/accuracy/significance.py` says which differences are
significant.
"""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial

import numpy as np
import pandas as pd

from benchmarks.accuracy.datasets import BenchmarkDataset
from benchmarks.accuracy.models import RIVALS, Examples, Predict, TrainingTask
from benchmarks.accuracy.significance import DayNoise, day_spread, p_value, significant_differences
from features.tables.contract import ACCOUNT_ID
from training.data.cluster_bootstrap import bootstrap_weights, percentile_interval
from training.data.time_splits import TimeSplit
from training.evaluation import metrics
from training.evaluation.backtest import fit_split, rows_on
from training.evaluation.metrics import WeightedCounts, count_by_risk
from training.evaluation.scorecard import Interval
from training.labels.definition import CHURNED, describe_label, label_hash, supported_horizons
from training.model.churn_model import encode
from training.model.fit import FitConfig, build_inputs

OARLOCK = "Oarlock"
RESAMPLES = 1_000
METRICS: Mapping[str, Callable[[WeightedCounts], np.ndarray]] = {
    "auc": metrics.auc,
    "average_precision": metrics.average_precision,
    "lift_at_10": lambda t: metrics.lift(t, 0.10),
    "log_loss": metrics.log_loss,
}
LOW_IS_GOOD = frozenset({"log_loss"})
Progress = Callable[[str], None]


@dataclass(frozen=True)
class ModelRisks:
    """The risks that a model gave to the test snapshots of every origin, and its seconds of training."""

    name: str
    risks: np.ndarray
    cpu_seconds: float
    wall_seconds: float


@dataclass(frozen=True)
class BenchmarkRun:
    """All models on the pooled test snapshots of the origins; the first is Oarlock.

    `day_spread` is the standard deviation of the change of a day's log-odds since the last known day, estimated on the
    days before the first test.
    """

    dataset: BenchmarkDataset
    test: pd.DataFrame
    models: list[ModelRisks]
    day_spread: float


@dataclass(frozen=True)
class ModelResult:
    """A model's figures, and their `difference` from Oarlock's on the same resamples, given the test days.

    `with_day_noise` are the same differences if the test days are resampled too; `p_values` are one-sided.
    """

    name: str
    figures: dict[str, Interval]
    difference: dict[str, Interval]
    with_day_noise: dict[str, Interval]
    p_values: dict[str, float]
    cpu_seconds: float
    wall_seconds: float

    def is_better(self, metric: str) -> bool:
        """Whether the whole interval of the difference is in favour of this model."""
        interval = self.difference[metric]
        return interval.high < 0 if metric in LOW_IS_GOOD else interval.low > 0


def run_models(dataset: BenchmarkDataset, names: list[str], report: Progress) -> BenchmarkRun:
    """Fit every model on every origin of the data set."""
    tests = [dataset.scope(rows_on(dataset.panel.rows, split.test)) for split in dataset.splits]
    models = [_fit_and_predict(dataset, name, tests, report) for name in [OARLOCK, *names]]
    spread = day_spread(dataset.scope(rows_on(dataset.panel.rows, dataset.splits[-1].train)), dataset.settings.label)
    return BenchmarkRun(dataset, pd.concat(tests, ignore_index=True), models, spread)


def summarize_models(run: BenchmarkRun, newest_only: bool = False) -> list[ModelResult]:
    """Each model's figures over all origins, or on the newest test days only."""
    selected = np.ones(len(run.test), bool)
    if newest_only:
        selected = run.test.as_of.isin(run.dataset.splits[0].test).to_numpy()
    test = run.test[selected]
    churned, accounts = test[CHURNED].to_numpy(), test[ACCOUNT_ID].to_numpy(dtype="str")
    day_noise = DayNoise(pd.factorize(test.as_of)[0], run.day_spread)
    risks = [model.risks[selected] for model in run.models]
    measured = [_resample_metrics(churned, risk_array, accounts) for risk_array in risks]
    shifts = [day_noise.day_shifts(risk_array, risks[0], RESAMPLES) for risk_array in risks]
    each = zip(run.models, measured, shifts, strict=True)
    return [_summarize(model, figures, measured[0], shifts=shifts) for model, figures, shifts in each]


def significant_leads(results: list[ModelResult]) -> list[str]:
    """The models and metrics that are significantly better than Oarlock, corrected for all comparisons."""
    leads = {(model.name, metric): model.p_values[metric] for model in results[1:] for metric in METRICS}
    return [f"{name} ({metric})" for name, metric in significant_differences(leads)]


def _fit_and_predict(dataset: BenchmarkDataset, name: str, tests: list[pd.DataFrame], report: Progress) -> ModelRisks:
    risks, cpu, wall = [], time.process_time(), time.perf_counter()
    for split, test in zip(dataset.splits, tests, strict=True):
        report(f"{dataset.name}: {name}, origin {split.test[-1]:%Y-%m-%d}")
        predict = predict_with_oarlock if name == OARLOCK else partial(_predict_with_rival, name=name)
        risks.append(predict(dataset, split, test))
    return ModelRisks(name, np.concatenate(risks), time.process_time() - cpu, time.perf_counter() - wall)


def predict_with_oarlock(dataset: BenchmarkDataset, split: TimeSplit, test: pd.DataFrame) -> np.ndarray:
    """The risks of test snapshots by a model of the split, fitted by the settings of the data set."""
    model = fit_split(dataset.panel.rows, split, recipe_of(dataset))
    return model.predict_risks(encode(test, model.inputs))


def recipe_of(dataset: BenchmarkDataset) -> FitConfig:
    """How Oarlock fits its model, by the settings of the data set."""
    label, training = dataset.settings.label, dataset.settings.training
    horizons, _ = supported_horizons(label)
    return FitConfig(
        dataset.panel.history.signals, training, describe_label(label), {"label": label_hash(label)}, horizons
    )


def _predict_with_rival(dataset: BenchmarkDataset, split: TimeSplit, test: pd.DataFrame, *, name: str) -> np.ndarray:
    task = task_of(dataset, split)
    predict: Predict = RIVALS[name](task)
    return np.asarray(predict(encode(test, task.inputs)), dtype="float64")


def task_of(dataset: BenchmarkDataset, split: TimeSplit) -> TrainingTask:
    """The snapshots of one split, as matrices."""
    training_rows = rows_on(dataset.panel.rows, split.train)
    inputs = build_inputs(dataset.panel.history.signals, training_rows)
    early, later = (Examples.of(rows_on(dataset.panel.rows, days), inputs) for days in (split.fit, split.calibration))
    return TrainingTask(early, later, Examples.of(training_rows, inputs), inputs)


def _resample_metrics(churned: np.ndarray, risks: np.ndarray, accounts: np.ndarray) -> dict[str, np.ndarray]:
    """Every metric: first on the snapshots themselves, then on each resample."""
    counts = count_by_risk(churned, risks)
    resampled = [count_by_risk(churned, risks, weights) for weights in bootstrap_weights(accounts, RESAMPLES)]
    return {name: np.concatenate([metric(t) for t in (counts, *resampled)]) for name, metric in METRICS.items()}


def _summarize(
    model: ModelRisks, figures: dict[str, np.ndarray], oarlock: dict[str, np.ndarray], *, shifts: np.ndarray
) -> ModelResult:
    differences = {name: figures[name] - oarlock[name] for name in METRICS}
    with_day_noise = differences | {"log_loss": differences["log_loss"] + np.concatenate([[0.0], shifts])}
    leads = {name: -with_day_noise[name] if name in LOW_IS_GOOD else with_day_noise[name] for name in METRICS}
    return ModelResult(
        name=model.name,
        figures={name: _interval(values) for name, values in figures.items()},
        difference={name: _interval(values) for name, values in differences.items()},
        with_day_noise={name: _interval(values) for name, values in with_day_noise.items()},
        p_values={name: p_value(values[0], values[1:]) for name, values in leads.items()},
        cpu_seconds=model.cpu_seconds,
        wall_seconds=model.wall_seconds,
    )


def _interval(values: np.ndarray) -> Interval:
    return Interval(float(values[0]), *percentile_interval(values[1:]))
