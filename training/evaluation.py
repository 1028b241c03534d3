"""Evaluation: how well risks rank and how true they are, every figure with its n and interval."""

from collections.abc import Callable
from dataclasses import dataclass, fields

import numpy as np
import pandas as pd
from scipy.stats import binomtest

from configs.settings import EvaluationSettings
from training import metrics
from training.metrics import Tally, tally
from training.profit import expected_maximum_profit
from training.resampling import CONFIDENCE, bounds, resamples

CALIBRATION_GROUPS = 10
Metric = Callable[[Tally], np.ndarray]


@dataclass(frozen=True)
class Interval:
    """A figure with the bounds that hold it, at 95 % confidence where nothing else is said."""

    value: float
    low: float
    high: float

    def __str__(self) -> str:
        return f"{self.value:.4f} [{self.low:.4f}, {self.high:.4f}]"


@dataclass(frozen=True)
class Cases:
    """The snapshots that risks are judged on: whether they `churned` (0/1), whose they are, and their revenue.

    Without `accounts` each is an account of its own; without `revenue` no revenue is counted. They were seen on so many
    `days`: the team can call its capacity on each.
    """

    churned: np.ndarray
    accounts: np.ndarray | None = None
    revenue: np.ndarray | None = None
    days: int = 1

    @property
    def names(self) -> np.ndarray:
        return np.arange(len(self.churned)) if self.accounts is None else self.accounts


@dataclass(frozen=True)
class Evaluation:
    """What is said of risks whose answers are known; `calibration` has a row per tenth of the snapshots by risk.

    The figures are explained in `training/metrics.py` and `training/profit.py`; one that cannot be told is NaN.
    """

    snapshots: int
    churned: int
    rate: Interval
    mean_risk: float
    auc: Interval
    average_precision: Interval
    lift_at_1: Interval
    lift_at_5: Interval
    lift_at_10: Interval
    precision_at_capacity: Interval
    revenue_at_capacity: Interval
    expected_profit: Interval
    brier: Interval
    reliability: Interval
    resolution: Interval
    uncertainty: Interval
    log_loss: Interval
    calibration_slope: Interval
    calibration_intercept: Interval
    calibration: pd.DataFrame

    @property
    def is_calibrated(self) -> bool:
        """Whether the mean risk lies within the interval of the churn rate."""
        return self.rate.low <= self.mean_risk <= self.rate.high

    def figures(self) -> dict[str, float]:
        """Every figure that can be told by name, as a registry keeps it."""
        found = {one.name: getattr(self, one.name) for one in fields(self)}
        told = {k: v for k, v in found.items() if isinstance(v, Interval) and not np.isnan([v.value, v.low]).any()}
        edges = {f"{k}_{end}": getattr(v, end) for k, v in told.items() for end in ("low", "high")}
        values = {name: interval.value for name, interval in told.items()}
        return values | edges | {"snapshots": self.snapshots, "churned": self.churned, "mean_risk": self.mean_risk}


def evaluate(cases: Cases, risks: np.ndarray, settings: EvaluationSettings) -> Evaluation:
    """Ranking, truth, calibration and worth of `risks`; intervals by bootstrap of accounts, rates by Wilson.

    Needs both answers to be there.
    """
    churned = cases.churned
    measured = _metrics(settings, cases.days)
    drawn = [
        _measure(measured, tally(churned, risks, weights, cases.revenue))
        for weights in resamples(cases.names, settings.resamples)
    ]
    found = _measure(measured, tally(churned, risks, revenue=cases.revenue))
    figures = {k: Interval(float(v[0]), *bounds(np.concatenate([one[k] for one in drawn]))) for k, v in found.items()}
    return Evaluation(
        snapshots=len(churned),
        churned=int(churned.sum()),
        rate=rate_interval(int(churned.sum()), len(churned)),
        mean_risk=float(risks.mean()),
        calibration=calibration_table(churned, risks),
        **figures,
    )


def rate_interval(hits: int, of: int) -> Interval:
    """A rate with Wilson's score interval (Wilson, 1927)."""
    if of == 0:
        return Interval(float("nan"), 0.0, 1.0)
    bounds = binomtest(hits, of).proportion_ci(CONFIDENCE, method="wilson")
    return Interval(hits / of, float(bounds.low), float(bounds.high))


def calibration_table(churned: np.ndarray, risks: np.ndarray, groups: int = CALIBRATION_GROUPS) -> pd.DataFrame:
    """Snapshots in groups of rising risk: n, mean risk, churn rate and its interval; equal risks stay together."""
    ranks = pd.Series(risks).rank(method="average", pct=True)
    group = np.minimum((ranks * groups).astype(int), groups - 1)
    rows = pd.DataFrame({"group": group, "risk": risks, "churned": churned}).groupby("group")
    table = rows.agg(snapshots=("risk", "size"), mean_risk=("risk", "mean"), churned=("churned", "sum"))
    rates = [rate_interval(int(hits), int(of)) for hits, of in zip(table.churned, table.snapshots, strict=True)]
    return table.assign(rate=[r.value for r in rates], low=[r.low for r in rates], high=[r.high for r in rates])


def _metrics(settings: EvaluationSettings, days: int) -> dict[str, Metric]:
    capacity = settings.capacity * days
    return {
        "auc": metrics.auc,
        "average_precision": metrics.average_precision,
        **{f"lift_at_{percent}": lambda t, p=percent: metrics.lift(t, p / 100) for percent in (1, 5, 10)},
        "precision_at_capacity": lambda t: metrics.precision_at(t, capacity),
        "revenue_at_capacity": lambda t: metrics.revenue_at(t, capacity),
        "expected_profit": lambda t: expected_maximum_profit(t, settings.profit),
        "brier": metrics.brier,
        "log_loss": metrics.log_loss,
        "calibration_slope": metrics.calibration_slope,
        "calibration_intercept": metrics.calibration_intercept,
    }


def _measure(measured: dict[str, Metric], t: Tally) -> dict[str, np.ndarray]:
    parts = zip(("reliability", "resolution", "uncertainty"), metrics.brier_parts(t), strict=True)
    return {**{name: metric(t) for name, metric in measured.items()}, **dict(parts)}
