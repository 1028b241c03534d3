"""The contest: every contestant on the same origins, figures with intervals, and how far each rival is from Oarlock.

A difference is paired: each resample draws the same accounts for both. A rival is ahead where the whole interval of its
difference lies on its side, given the test days; `benchmarks/accuracy/significance.py` says which leads are beyond
noise.
"""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd

from benchmarks.accuracy.datasets import Ground
from benchmarks.accuracy.models import RIVALS, Examples, Predict, TrainingTask
from benchmarks.accuracy.significance import Daily, chance_of, day_spread, discoveries
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
class Entry:
    """One contestant: the risks it gave to the test snapshots of every origin, and its seconds of training."""

    name: str
    risks: np.ndarray
    cpu_seconds: float
    wall_seconds: float


@dataclass(frozen=True)
class Contest:
    """All entries over the pooled test snapshots of the origins; the first is Oarlock's.

    `day_spread` is how far the log-odds of a day to come are expected to lie from those of the days known: by the days
    that were known before the first test.
    """

    ground: Ground
    test: pd.DataFrame
    entries: list[Entry]
    day_spread: float


@dataclass(frozen=True)
class Standing:
    """A contestant's figures, and its own less Oarlock's on the same resamples, given the test days.

    `to_come` are the same differences on days drawn again, and `chances` how likely a lead as large is without one.
    """

    name: str
    figures: dict[str, Interval]
    less_oarlock: dict[str, Interval]
    to_come: dict[str, Interval]
    chances: dict[str, float]
    cpu_seconds: float
    wall_seconds: float

    def is_ahead(self, metric: str) -> bool:
        """Whether the whole interval of the difference lies on its side of Oarlock."""
        interval = self.less_oarlock[metric]
        return interval.high < 0 if metric in LOW_IS_GOOD else interval.low > 0


def hold(ground: Ground, names: list[str], say: Progress) -> Contest:
    """Fit everyone on every origin of the ground."""
    tests = [ground.scope(rows_on(ground.panel.rows, split.test)) for split in ground.splits]
    entries = [_entered(ground, name, tests, say) for name in [OARLOCK, *names]]
    spread = day_spread(ground.scope(rows_on(ground.panel.rows, ground.splits[-1].train)), ground.settings.label)
    return Contest(ground, pd.concat(tests, ignore_index=True), entries, spread)


def standings(contest: Contest, newest_only: bool = False) -> list[Standing]:
    """Everyone's figures over all origins, or on the newest test days alone."""
    judged = np.ones(len(contest.test), bool)
    if newest_only:
        judged = contest.test.as_of.isin(contest.ground.splits[0].test).to_numpy()
    test = contest.test[judged]
    churned, accounts = test[CHURNED].to_numpy(), test[ACCOUNT_ID].to_numpy(dtype="str")
    daily = Daily(pd.factorize(test.as_of)[0], contest.day_spread)
    risks = [entry.risks[judged] for entry in contest.entries]
    measured = [_measured(churned, risk_array, accounts) for risk_array in risks]
    moves = [daily.moves(risk_array, risks[0], RESAMPLES) for risk_array in risks]
    each = zip(contest.entries, measured, moves, strict=True)
    return [_standing(entry, figures, measured[0], moved=moved) for entry, figures, moved in each]


def beyond_noise(standing: list[Standing]) -> list[str]:
    """Whose lead in what is beyond noise, of all that were compared."""
    leads = {(entry.name, metric): entry.chances[metric] for entry in standing[1:] for metric in METRICS}
    return [f"{name} ({metric})" for name, metric in discoveries(leads)]


def _entered(ground: Ground, name: str, tests: list[pd.DataFrame], say: Progress) -> Entry:
    risks, cpu, wall = [], time.process_time(), time.perf_counter()
    for split, test in zip(ground.splits, tests, strict=True):
        say(f"{ground.name}: {name}, origin {split.test[-1]:%Y-%m-%d}")
        risks.append(_oarlock(ground, split, test) if name == OARLOCK else _rival(ground, name, split, test))
    return Entry(name, np.concatenate(risks), time.process_time() - cpu, time.perf_counter() - wall)


def _oarlock(ground: Ground, split: TimeSplit, test: pd.DataFrame) -> np.ndarray:
    model = fit_split(ground.panel.rows, split, recipe_of(ground))
    return model.predict_risks(encode(test, model.inputs))


def recipe_of(ground: Ground) -> FitConfig:
    """What Oarlock makes its model of, by the ground's settings."""
    label, training = ground.settings.label, ground.settings.training
    horizons, _ = supported_horizons(label)
    return FitConfig(
        ground.panel.history.signals, training, describe_label(label), {"label": label_hash(label)}, horizons
    )


def _rival(ground: Ground, name: str, split: TimeSplit, test: pd.DataFrame) -> np.ndarray:
    lesson = task_of(ground, split)
    predict: Predict = RIVALS[name](lesson)
    return np.asarray(predict(encode(test, lesson.inputs)), dtype="float64")


def task_of(ground: Ground, split: TimeSplit) -> TrainingTask:
    """The snapshots of one split, as matrices."""
    training_rows = rows_on(ground.panel.rows, split.train)
    inputs = build_inputs(ground.panel.history.signals, training_rows)
    early, later = (Examples.of(rows_on(ground.panel.rows, days), inputs) for days in (split.fit, split.calibration))
    return TrainingTask(early, later, Examples.of(training_rows, inputs), inputs)


def _measured(churned: np.ndarray, risks: np.ndarray, accounts: np.ndarray) -> dict[str, np.ndarray]:
    """Every metric: first on the snapshots as they are, then on each resample."""
    counts = count_by_risk(churned, risks)
    drawn = [count_by_risk(churned, risks, weights) for weights in bootstrap_weights(accounts, RESAMPLES)]
    return {name: np.concatenate([metric(t) for t in (counts, *drawn)]) for name, metric in METRICS.items()}


def _standing(
    entry: Entry, figures: dict[str, np.ndarray], oarlock: dict[str, np.ndarray], *, moved: np.ndarray
) -> Standing:
    differences = {name: figures[name] - oarlock[name] for name in METRICS}
    to_come = differences | {"log_loss": differences["log_loss"] + np.concatenate([[0.0], moved])}
    leads = {name: -to_come[name] if name in LOW_IS_GOOD else to_come[name] for name in METRICS}
    return Standing(
        name=entry.name,
        figures={name: _interval(values) for name, values in figures.items()},
        less_oarlock={name: _interval(values) for name, values in differences.items()},
        to_come={name: _interval(values) for name, values in to_come.items()},
        chances={name: chance_of(values[0], values[1:]) for name, values in leads.items()},
        cpu_seconds=entry.cpu_seconds,
        wall_seconds=entry.wall_seconds,
    )


def _interval(values: np.ndarray) -> Interval:
    return Interval(float(values[0]), *percentile_interval(values[1:]))
