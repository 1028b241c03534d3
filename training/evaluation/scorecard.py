"""Scorecard: how well risks rank and how well they are calibrated, every metric with its interval."""

from dataclasses import dataclass, fields

import numpy as np
import pandas as pd

from configs.sections.evaluation import EvaluationSettings
from features.rate_interval import wilson_bounds
from training.data.cluster_bootstrap import bootstrap_weights, percentile_interval
from training.evaluation import metrics
from training.evaluation.metrics import WeightedCounts, count_by_group, count_by_risk
from training.evaluation.profit import expected_maximum_profit

CALIBRATION_GROUPS = 10


@dataclass(frozen=True)
class Interval:
    """A value with the bounds of its confidence interval, 95 % unless stated otherwise."""

    value: float
    low: float
    high: float

    def __str__(self) -> str:
        return f"{self.value:.4f} [{self.low:.4f}, {self.high:.4f}]"


@dataclass(frozen=True)
class EvaluationData:
    """The snapshots that risks are evaluated on: whether they `churned` (0 or 1), their accounts, revenue and days.

    Without `account_ids` each counts as an account of its own, without `revenue` none is counted, and without `as_of`
    all are of one day. The team's capacity applies to each day.
    """

    churned: np.ndarray
    account_ids: np.ndarray | None = None
    revenue: np.ndarray | None = None
    as_of: np.ndarray | None = None

    @property
    def day_count(self) -> int:
        return 1 if self.as_of is None else len(np.unique(self.as_of))

    @property
    def day_masks(self) -> list[np.ndarray]:
        """Which snapshots are of each day."""
        if self.as_of is None:
            return [np.full(len(self.churned), True)]
        return [self.as_of == day for day in np.unique(self.as_of)]

    @property
    def clusters(self) -> np.ndarray:
        """What the bootstrap draws: the account of each snapshot, or its row number without accounts."""
        return np.arange(len(self.churned)) if self.account_ids is None else self.account_ids

    def subset(self, mask: np.ndarray) -> "EvaluationData":
        """The chosen snapshots."""
        columns = (self.account_ids, self.revenue, self.as_of)
        return EvaluationData(self.churned[mask], *(None if column is None else column[mask] for column in columns))

    def call_order(self, risks: np.ndarray) -> np.ndarray:
        """A score in the order in which the team calls: the first of every day before the second of any day."""
        if self.as_of is None or self.day_count == 1:
            return risks
        return -pd.Series(risks).groupby(pd.factorize(self.as_of)[0]).rank(ascending=False).to_numpy()


@dataclass(frozen=True)
class Scorecard:
    """All metrics of risks with known labels; `calibration` has a row per tenth of the snapshots by risk.

    `training/evaluation/metrics.py` and `training/evaluation/profit.py` explain the metrics; an undefined one is NaN.
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

    def metrics(self) -> dict[str, float]:
        """Every defined metric by name, as a registry stores it, with `_low` and `_high` for its bounds."""
        values = {field.name: getattr(self, field.name) for field in fields(self)}
        intervals = {
            name: value
            for name, value in values.items()
            if isinstance(value, Interval) and not np.isnan([value.value, value.low]).any()
        }
        bounds = {f"{name}_{end}": getattr(i, end) for name, i in intervals.items() for end in ("low", "high")}
        counts = {"snapshots": self.snapshots, "churned": self.churned, "mean_risk": self.mean_risk}
        return {name: interval.value for name, interval in intervals.items()} | bounds | counts


def evaluate_risks(
    data: EvaluationData, risks: np.ndarray, settings: EvaluationSettings, *, ranking: np.ndarray | None = None
) -> Scorecard:
    """All metrics of `risks`; intervals by a bootstrap of accounts, the rate's by Wilson. Needs both outcomes.

    `ranking` orders the snapshots as they are served, if `risks` come from several calibrations and so do not.
    """
    churned, ranking = data.churned, risks if ranking is None else ranking
    call_order, day_masks = data.call_order(ranking), data.day_masks

    def measure(weights: np.ndarray | None = None) -> dict[str, np.ndarray]:
        counts = count_by_risk(churned, risks, weights, data.revenue)
        ranked = counts if ranking is risks else count_by_risk(churned, ranking, weights, data.revenue)
        calls = ranked if call_order is ranking else count_by_risk(churned, call_order, weights, data.revenue)
        days = [ranked] if len(day_masks) == 1 else count_by_group(churned, ranking, day_masks, weights)
        return {
            **_measure_ranking(ranked, calls, len(days), settings),
            "auc": metrics.auc(*days),
            **_measure_calibration(counts, settings),
        }

    resampled = [measure(weights) for weights in bootstrap_weights(data.clusters, settings.bootstrap_samples)]
    intervals = {
        name: Interval(float(value[0]), *percentile_interval(np.concatenate([sample[name] for sample in resampled])))
        for name, value in measure().items()
    }
    return Scorecard(
        snapshots=len(churned),
        churned=int(churned.sum()),
        rate=wilson_interval(int(churned.sum()), len(churned)),
        mean_risk=float(risks.mean()),
        calibration=calibration_table(churned, risks),
        **intervals,
    )


def wilson_interval(successes: int, total: int) -> Interval:
    """A rate with Wilson's score interval (Wilson, 1927)."""
    return Interval(successes / total if total else float("nan"), *wilson_bounds(successes, total))


def calibration_table(churned: np.ndarray, risks: np.ndarray, groups: int = CALIBRATION_GROUPS) -> pd.DataFrame:
    """Snapshots in groups of rising risk: n, mean risk, churn rate and its interval; equal risks share a group."""
    ranks = pd.Series(risks).rank(method="average", pct=True)
    group = np.minimum((ranks * groups).astype(int), groups - 1)
    rows = pd.DataFrame({"group": group, "risk": risks, "churned": churned}).groupby("group")
    table = rows.agg(snapshots=("risk", "size"), mean_risk=("risk", "mean"), churned=("churned", "sum"))
    rates = [wilson_interval(int(n), int(of)) for n, of in zip(table.churned, table.snapshots, strict=True)]
    return table.assign(rate=[r.value for r in rates], low=[r.low for r in rates], high=[r.high for r in rates])


def _measure_ranking(
    counts: WeightedCounts, calls: WeightedCounts, day_count: int, settings: EvaluationSettings
) -> dict[str, np.ndarray]:
    """What each weighting catches; `calls` has the snapshots in the order in which the team calls."""
    return {
        "average_precision": metrics.average_precision(counts),
        "lift_at_1": metrics.lift(counts, 0.01),
        "lift_at_5": metrics.lift(counts, 0.05),
        "lift_at_10": metrics.lift(counts, 0.1),
        "precision_at_capacity": metrics.precision_at(calls, settings.capacity * day_count),
        "revenue_at_capacity": metrics.revenue_at(calls, settings.capacity * day_count),
    }


def _measure_calibration(counts: WeightedCounts, settings: EvaluationSettings) -> dict[str, np.ndarray]:
    """What each weighting says of the risks themselves."""
    reliability, resolution, uncertainty = metrics.brier_decomposition(counts)
    return {
        "expected_profit": expected_maximum_profit(counts, settings.profit),
        "brier": metrics.brier(counts),
        "reliability": reliability,
        "resolution": resolution,
        "uncertainty": uncertainty,
        "log_loss": metrics.log_loss(counts),
        "calibration_slope": metrics.calibration_slope(counts),
        "calibration_intercept": metrics.calibration_intercept(counts),
    }
