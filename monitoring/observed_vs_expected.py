"""Observed against expected churn: do mature risks agree with what happened?"""

# pyright: reportMissingTypeStubs=false, reportUnknownMemberType=false, reportUnknownVariableType=false
# (SciPy has no type stubs)

from dataclasses import dataclass
from datetime import datetime, timedelta

import numpy as np
import pandas as pd
from scipy.stats import chi2


@dataclass(frozen=True)
class ObservedVsExpected:
    """Mature risks: how many accounts churned, how many were expected to, and the ratio with its interval."""

    snapshots: int
    churned: int
    expected: float
    ratio: float
    low: float
    high: float

    @property
    def is_off(self) -> bool:
        """Whether the interval of the ratio excludes 1."""
        return not self.low <= 1 <= self.high


def non_overlapping_days(days: list[datetime], horizon_days: int) -> list[datetime]:
    """The newest day, and going back each day that is at least a horizon before the last one chosen.

    Horizons that overlap would count one departure several times and make the interval too narrow.
    """
    chosen: list[datetime] = []
    for day in sorted(days, reverse=True):
        if not chosen or day + timedelta(days=horizon_days) <= chosen[-1]:
            chosen.append(day)
    return chosen


def compare_observed_with_expected(risks: pd.Series, churned: pd.Series, confidence: float) -> ObservedVsExpected:
    """Observed over expected churn, its interval from the exact Poisson interval of the count (Garwood, 1936).

    A snapshot without a label (NaN) does not count.
    """
    has_label = churned.notna()
    expected, observed = float(risks[has_label].sum()), int(churned[has_label].sum())
    tail = (1 - confidence) / 2
    low = float(chi2.ppf(tail, 2 * observed)) / 2 if observed else 0.0
    high = float(chi2.ppf(1 - tail, 2 * observed + 2)) / 2
    denominator = expected if expected > 0 else np.nan
    return ObservedVsExpected(
        int(has_label.sum()), observed, expected, observed / denominator, low / denominator, high / denominator
    )
