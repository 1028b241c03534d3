"""Outcomes: mature risks against what happened."""

from dataclasses import dataclass
from datetime import datetime, timedelta

import numpy as np
import pandas as pd
from scipy.stats import chi2


@dataclass(frozen=True)
class ObservedVsExpected:
    """Of `snapshots` mature risks `churned` left where `expected` were expected; `ratio` with its interval."""

    snapshots: int
    churned: int
    expected: float
    ratio: float
    low: float
    high: float

    @property
    def is_off(self) -> bool:
        """Whether the risks cannot be reconciled with what happened."""
        return not self.low <= 1 <= self.high


def non_overlapping_days(days: list[datetime], horizon_days: int) -> list[datetime]:
    """Of some days, the newest and every earlier one a horizon or more before the last chosen.

    Horizons that overlap would count one departure several times and make the interval too narrow.
    """
    chosen: list[datetime] = []
    for day in sorted(days, reverse=True):
        if not chosen or day + timedelta(days=horizon_days) <= chosen[-1]:
            chosen.append(day)
    return chosen


def compare_observed_with_expected(risks: pd.Series, churned: pd.Series, interval: float) -> ObservedVsExpected:
    """Observed over expected churn, its interval from the exact Poisson interval of the count (Garwood, 1936).

    A snapshot whose answer is not known (NaN) does not count.
    """
    known = churned.notna()
    expected, observed = float(risks[known].sum()), int(churned[known].sum())
    tail = (1 - interval) / 2
    low = float(chi2.ppf(tail, 2 * observed)) / 2 if observed else 0.0
    high = float(chi2.ppf(1 - tail, 2 * observed + 2)) / 2
    over = expected if expected > 0 else np.nan
    return ObservedVsExpected(int(known.sum()), observed, expected, observed / over, low / over, high / over)
