"""Evaluation: how well risks rank and how true they are, every figure with its n and interval."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy.stats import binomtest
from sklearn.metrics import average_precision_score, brier_score_loss, log_loss, roc_auc_score

CONFIDENCE = 0.95
RESAMPLES = 200
CALIBRATION_GROUPS = 10
Metric = Callable[[np.ndarray, np.ndarray], float]


@dataclass(frozen=True)
class Interval:
    """A figure with the bounds that hold it at 95 % confidence."""

    value: float
    low: float
    high: float

    def __str__(self) -> str:
        return f"{self.value:.4f} [{self.low:.4f}, {self.high:.4f}]"


@dataclass(frozen=True)
class Evaluation:
    """What is said of risks whose answers are known; `calibration` has a row per tenth of the snapshots by risk."""

    snapshots: int
    churned: int
    rate: Interval
    mean_risk: float
    auc: Interval
    average_precision: Interval
    lift_at_10: Interval
    brier: Interval
    log_loss: Interval
    calibration: pd.DataFrame

    @property
    def is_calibrated(self) -> bool:
        """Whether the mean risk lies within the interval of the churn rate."""
        return self.rate.low <= self.mean_risk <= self.rate.high

    def figures(self) -> dict[str, float]:
        """Every figure by name, as a registry keeps it."""
        intervals = {k: v for k, v in vars(self).items() if isinstance(v, Interval)}
        bounds = {f"{k}_{end}": getattr(v, end) for k, v in intervals.items() for end in ("low", "high")}
        values = {name: interval.value for name, interval in intervals.items()}
        return values | bounds | {"snapshots": self.snapshots, "churned": self.churned, "mean_risk": self.mean_risk}


def evaluate(churned: np.ndarray, risks: np.ndarray, seed: int = 0) -> Evaluation:
    """Ranking, truth and calibration of `risks` against the 0/1 answers; intervals by bootstrap, rates by Wilson.

    Both arrays have one entry per account of one day, so rows are independent draws. Needs both answers to be there.
    """
    picks = _resamples(churned, seed)
    metrics: dict[str, Metric] = {
        "auc": roc_auc_score,
        "average_precision": average_precision_score,
        "lift_at_10": lift,
        "brier": brier_score_loss,
        "log_loss": log_loss,
    }
    return Evaluation(
        snapshots=len(churned),
        churned=int(churned.sum()),
        rate=rate_interval(int(churned.sum()), len(churned)),
        mean_risk=float(risks.mean()),
        calibration=calibration_table(churned, risks),
        **{name: _interval(metric, churned, risks, picks) for name, metric in metrics.items()},
    )


def lift(churned: np.ndarray, risks: np.ndarray, share: float = 0.10) -> float:
    """Churn rate among the `share` riskiest over the overall rate, in expectation over the order of equal risks.

    Equal risks at the edge count in proportion, so a constant risk has a lift of exactly 1.
    """
    wanted = share * len(risks)
    edge = np.sort(risks)[::-1][int(np.ceil(wanted)) - 1]
    above, tied = risks > edge, risks == edge
    caught = churned[above].sum() + churned[tied].mean() * (wanted - above.sum())
    return float(caught / wanted / churned.mean())


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


def _resamples(churned: np.ndarray, seed: int) -> list[np.ndarray]:
    """Row numbers of each bootstrap sample, churned and stayed drawn apart so that both are always there."""
    generator = np.random.default_rng(seed)
    groups = [np.flatnonzero(churned == answer) for answer in (0, 1)]
    return [np.concatenate([generator.choice(g, len(g)) for g in groups]) for _ in range(RESAMPLES)]


def _interval(metric: Metric, churned: np.ndarray, risks: np.ndarray, picks: list[np.ndarray]) -> Interval:
    drawn = [metric(churned[pick], risks[pick]) for pick in picks]
    low, high = np.quantile(drawn, [(1 - CONFIDENCE) / 2, (1 + CONFIDENCE) / 2])
    return Interval(float(metric(churned, risks)), float(low), float(high))
