"""Paired changes: how far each signal of the same accounts moved between two days.

A number is put on the scale of the earlier day's ranks, 0 to 1, so that units and outliers do not matter. Being missing
is a value of its own, and so is each category. Because each account is compared with itself, differences between
accounts do not count as noise, and new or departed accounts do not count as change.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]
MIN_VALUES = 20  # on the earlier day, for ranks that mean something
MAX_CATEGORIES = 10
VALUE, MISSING, NEW_CATEGORY = "value", "missing", "a new category"


class Aspect(NamedTuple):
    """What of a signal is compared: its value, being missing, or the share of one category."""

    signal: str
    kind: str

    def __str__(self) -> str:
        return self.signal if self.kind == VALUE else f"{self.signal}: {self.kind}"


@dataclass(frozen=True)
class Change:
    """The mean change of an aspect over the accounts of both days, -1 to 1, and the variance between accounts."""

    mean: float
    variance: float
    accounts: int

    def statistic(self, tolerance: float) -> float:
        """How many standard errors the change lies beyond the tolerance.

        The error is measured around the tolerance, so the statistic is a self-normalised sum: its tails are no heavier
        than normal ones if the changes of accounts are symmetric around it, for any number of accounts (Efron, 1969).
        """
        beyond = abs(self.mean) - tolerance
        spread = np.sqrt((self.variance + beyond**2) / max(self.accounts, 1))
        return float(beyond / spread) if spread > 0 else 0.0

    def smallest_visible(self, tolerance: float, critical: float) -> float | None:
        """The smallest mean change that exceeds the critical value; None if no change of so few accounts can."""
        if self.accounts <= critical**2:
            return None
        # One account in all that changes by all it can: a variance of zero was seen, not known.
        variance = max(self.variance, 1 / max(self.accounts, 1))
        visible = tolerance + critical * float(np.sqrt(variance / (self.accounts - critical**2)))
        return visible if visible <= 1 else None


def measure_changes(before: pd.DataFrame, after: pd.DataFrame) -> dict[Aspect, Change]:
    """The change of every aspect of every column; the rows of both frames are the same accounts in the same order."""
    if len(before) == 0:
        return {}
    return {
        Aspect(str(name), kind): Change(float(change.mean()), float(change.var()), len(change))
        for name in before
        for kind, change in _changes_of(before[name], after[name])
    }


def _changes_of(before: pd.Series, after: pd.Series) -> Iterator[tuple[str, FloatArray]]:
    """The change of each account by aspect; an account without a value on either day has not changed its value."""
    was_missing, is_missing = before.isna().to_numpy(), after.isna().to_numpy()
    yield MISSING, is_missing.astype("float64") - was_missing
    if pd.api.types.is_numeric_dtype(before):
        ordered = np.sort(before.to_numpy("float64")[~was_missing])
        if len(ordered) >= MIN_VALUES:
            moved = _ranks(ordered, after) - _ranks(ordered, before)
            yield VALUE, np.where(was_missing | is_missing, 0.0, moved)
        return
    yield from _category_changes(before, after)


def _category_changes(before: pd.Series, after: pd.Series) -> Iterator[tuple[str, FloatArray]]:
    categories = before.value_counts().index
    for category in categories[:MAX_CATEGORIES]:
        yield str(category), (after == category).to_numpy("float64") - (before == category).to_numpy("float64")
    is_new = after.notna() & ~after.isin(categories)
    yield NEW_CATEGORY, np.asarray(is_new, "float64")


def _ranks(ordered: FloatArray, values: pd.Series) -> FloatArray:
    """The share of `ordered` below each value, ties counted by half."""
    numbers: FloatArray = np.asarray(values, "float64")
    below: NDArray[np.int64] = np.searchsorted(ordered, numbers, side="left")
    up_to: NDArray[np.int64] = np.searchsorted(ordered, numbers, side="right")
    return (below + up_to) / (2.0 * len(ordered))
