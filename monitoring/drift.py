"""Drift: whether the newest day differs from the days learned from by more than past days differed from their own past.

The same comparison is made for every past day, at the same distance in time, so the threshold is what this company's
own clean days show at their own size; no number of signals and no seasonal habit raises an alarm by itself. The number
of signals beyond their own past is compared with that of each past day (a rank test): with K past days the chance of a
false alarm is at most 1 in K + 1.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from scipy.stats import ks_2samp

FEWEST_PAST_DAYS = 4


@dataclass(frozen=True)
class DriftedSignal:
    """A signal further from its reference than it ever was: how far, and the furthest before."""

    signal: str
    distance: float
    largest_past_distance: float


@dataclass(frozen=True)
class DriftReport:
    """What the comparison found: `moved` signals now, the most that moved on a past day, and how many past days."""

    drifted: tuple[DriftedSignal, ...]
    max_past_count: int
    past_days: int

    @property
    def is_conclusive(self) -> bool:
        return self.past_days >= FEWEST_PAST_DAYS

    @property
    def is_alarm(self) -> bool:
        return self.is_conclusive and len(self.drifted) > self.max_past_count


def distance(reference: pd.Series, current: pd.Series) -> float:
    """How far two samples of one signal lie apart, 0 to 1: the larger of the gaps in what is missing and in the values.

    Values are compared by the Kolmogorov-Smirnov statistic, categories by the total variation.
    """
    missing = abs(float(reference.isna().mean()) - float(current.isna().mean()))
    old, new = reference.dropna(), current.dropna()
    if old.empty or new.empty:
        return missing
    if pd.api.types.is_numeric_dtype(old):
        found: Any = ks_2samp(old, new, method="asymp")
        return max(missing, float(found.statistic))
    shares = pd.concat([old.value_counts(normalize=True), new.value_counts(normalize=True)], axis=1).fillna(0)
    return max(missing, float(shares.iloc[:, 0].sub(shares.iloc[:, 1]).abs().sum() / 2))


def detect_drift(days: list[pd.DataFrame], reference_days: int, lag: int) -> DriftReport:
    """Compare the last of `days` (oldest first, a column per signal) with `reference_days` days, `lag` days before it.

    Every earlier day that has as many days before it is compared in the same way and is the measure of what is usual.
    """
    first = lag + reference_days - 1
    compared = [_distances(days, at, reference_days, lag) for at in range(first, len(days))]
    if not compared:
        return DriftReport((), 0, 0)
    found = pd.DataFrame(compared)
    others = _furthest_of_others(found.to_numpy())
    beyond = found.to_numpy() > others
    moved = [
        DriftedSignal(str(name), found[name].iloc[-1], others[-1, i]) for i, name in enumerate(found) if beyond[-1, i]
    ]
    counts = beyond.sum(axis=1)
    most = int(counts[:-1].max()) if len(counts) > 1 else 0
    return DriftReport(
        tuple(sorted(moved, key=lambda one: one.largest_past_distance - one.distance)), most, len(compared) - 1
    )


def _distances(days: list[pd.DataFrame], at: int, reference_days: int, lag: int) -> dict[str, float]:
    end = at - lag + 1
    reference = pd.concat(days[end - reference_days : end])
    return {str(name): distance(reference[name], days[at][name]) for name in days[at]}


def _furthest_of_others(distances: np.ndarray) -> np.ndarray:
    """For each entry, the largest in its column among the other rows."""
    if len(distances) == 1:
        return np.full_like(distances, np.inf)
    ordered = np.sort(distances, axis=0)
    is_largest = np.arange(len(distances))[:, None] == distances.argmax(axis=0)
    return np.where(is_largest, ordered[-2], ordered[-1])
