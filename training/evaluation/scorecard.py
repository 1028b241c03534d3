"""Evaluation: how well risks rank and how true they are, every figure with its n and interval."""

from dataclasses import dataclass, fields

import numpy as np
import pandas as pd
from scipy.stats import binomtest

from configs.settings import EvaluationSettings
from training.data.cluster_bootstrap import CONFIDENCE, bounds, resamples
from training.evaluation import metrics
from training.evaluation.metrics import Tally, tally
from training.evaluation.profit import expected_maximum_profit

CALIBRATION_GROUPS = 10


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

    Without `accounts` each is an account of its own; without `revenue` no revenue is counted. The team can call its
    capacity on each day; without `as_of` all are of one day.
    """

    churned: np.ndarray
    accounts: np.ndarray | None = None
    revenue: np.ndarray | None = None
    as_of: np.ndarray | None = None

    @property
    def days(self) -> int:
        """On how many days they were seen."""
        return 1 if self.as_of is None else len(np.unique(self.as_of))

    def part(self, mine: np.ndarray) -> "Cases":
        """Those of some snapshots."""
        others = (None if one is None else one[mine] for one in (self.accounts, self.revenue, self.as_of))
        return Cases(self.churned[mine], *others)

    def called(self, risks: np.ndarray) -> np.ndarray:
        """The order in which the team calls: each day from its top, the first of every day before any second."""
        if self.as_of is None or self.days == 1:
            return risks
        return -pd.Series(risks).groupby(pd.factorize(self.as_of)[0]).rank(ascending=False).to_numpy()

    @property
    def names(self) -> np.ndarray:
        return np.arange(len(self.churned)) if self.accounts is None else self.accounts


@dataclass(frozen=True)
class Evaluation:
    """What is said of risks whose answers are known; `calibration` has a row per tenth of the snapshots by risk.

    The figures are explained in `training/evaluation/metrics.py` and `training/evaluation/profit.py`; one that cannot
    be told is NaN.
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
    churned, called, days = cases.churned, cases.called(risks), cases.days

    def measured(weights: np.ndarray | None = None) -> dict[str, np.ndarray]:
        t = tally(churned, risks, weights, cases.revenue)
        calls = t if called is risks else tally(churned, called, weights, cases.revenue)
        return _measure(t, calls, days, settings)

    drawn = [measured(weights) for weights in resamples(cases.names, settings.bootstrap_samples)]
    found = measured()
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


def _measure(t: Tally, called: Tally, days: int, settings: EvaluationSettings) -> dict[str, np.ndarray]:
    """Every figure of each weighting; `called` has the snapshots in the order in which the team calls."""
    return {
        "auc": metrics.auc(t),
        "average_precision": metrics.average_precision(t),
        **{f"lift_at_{percent}": metrics.lift(t, percent / 100) for percent in (1, 5, 10)},
        "precision_at_capacity": metrics.precision_at(called, settings.capacity * days),
        "revenue_at_capacity": metrics.revenue_at(called, settings.capacity * days),
        "expected_profit": expected_maximum_profit(t, settings.profit),
        "brier": metrics.brier(t),
        "log_loss": metrics.log_loss(t),
        "calibration_slope": metrics.calibration_slope(t),
        "calibration_intercept": metrics.calibration_intercept(t),
        **dict(zip(("reliability", "resolution", "uncertainty"), metrics.brier_parts(t), strict=True)),
    }
