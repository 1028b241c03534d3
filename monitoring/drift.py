"""Signal drift: does the newest day differ from the training days by more than past days differed from theirs?

Every past day is compared in the same way, at the same distance in time. So the threshold comes from this company's own
days at their own size, and neither many signals nor a season raises an alarm by itself. The number of signals beyond
their past maximum is compared with that of each past day (a rank test): with K past days, the chance of a false alarm
is at most 1 in K + 1.
"""

# pyright: reportMissingTypeStubs=false, reportUnknownMemberType=false, reportUnknownVariableType=false
# (SciPy has no type stubs)

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from scipy.stats import ks_2samp

MIN_PAST_DAYS = 4


@dataclass(frozen=True)
class DriftedSignal:
    """A signal that is further from its reference than ever: its distance, and the largest one on past days."""

    signal: str
    distance: float
    largest_past_distance: float


@dataclass(frozen=True)
class DriftReport:
    """The signals that drifted, the largest number that drifted on a past day, and the number of past days."""

    drifted: tuple[DriftedSignal, ...]
    max_past_count: int
    past_days: int

    @property
    def is_conclusive(self) -> bool:
        return self.past_days >= MIN_PAST_DAYS

    @property
    def is_alarm(self) -> bool:
        return self.is_conclusive and len(self.drifted) > self.max_past_count


def distance(reference: pd.Series, current: pd.Series) -> float:
    """The distance of two samples of a signal, 0 to 1: the larger of the gap in missing values and the gap in values.

    Numbers are compared by the Kolmogorov-Smirnov statistic, categories by their total variation distance.
    """
    missing = abs(float(reference.isna().mean()) - float(current.isna().mean()))
    old, new = reference.dropna(), current.dropna()
    if old.empty or new.empty:
        return missing
    if pd.api.types.is_numeric_dtype(old):
        test: Any = ks_2samp(old, new, method="asymp")
        return max(missing, float(test.statistic))
    shares = pd.concat([old.value_counts(normalize=True), new.value_counts(normalize=True)], axis=1).fillna(0)
    return max(missing, float(shares.iloc[:, 0].sub(shares.iloc[:, 1]).abs().sum() / 2))


def detect_drift(days: list[pd.DataFrame], reference_days: int, lag: int) -> DriftReport:
    """Compare the last of `days` (oldest first, a column per signal) with `reference_days` days, `lag` days before it.

    Every earlier day with as many days before it is compared in the same way; these distances say what is usual.
    """
    first = lag + reference_days - 1
    compared = [_distances(days, at, reference_days, lag) for at in range(first, len(days))]
    if not compared:
        return DriftReport((), 0, 0)
    distances = pd.DataFrame(compared)
    furthest = _furthest_of_others(distances.to_numpy())
    beyond = distances.to_numpy() > furthest
    drifted = [
        DriftedSignal(str(name), distances[name].iloc[-1], furthest[-1, i])
        for i, name in enumerate(distances)
        if beyond[-1, i]
    ]
    counts = beyond.sum(axis=1)
    max_past_count = int(counts[:-1].max()) if len(counts) > 1 else 0
    return DriftReport(
        tuple(sorted(drifted, key=lambda signal: signal.largest_past_distance - signal.distance)),
        max_past_count,
        len(compared) - 1,
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
