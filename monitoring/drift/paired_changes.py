"""Paired changes: how far each signal of the same accounts moved between two days.

A number is put on the scale of the earlier day's ranks, 0 to 1, so that units and outliers do not matter. A change by
ten times or more, and to or from zero, is counted apart: all accounts make it together only if a source stops or a unit
changes. Being missing is a value of its own, and so is each category. Because each account is compared with itself,
differences between accounts do not count as noise, and new or departed accounts do not count as change.
"""

from collections.abc import Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]
Families = Mapping[str, Sequence[str]]  # the signals of each family
NO_FAMILIES: Families = MappingProxyType({})
MIN_VALUES = 20  # on the earlier day, for ranks that mean something
MAX_CATEGORIES = 10
LARGE_RATIO = 10.0
VALUE, MISSING, NEW_CATEGORY = "value", "missing", "a new category"
TENFOLD, TOGETHER = "ten times more or less", "all its signals together"


class Aspect(NamedTuple):
    """What of a signal is compared: its value, being missing, or the share of one category; or a family's values."""

    signal: str
    kind: str

    def __str__(self) -> str:
        return self.signal if self.kind == VALUE else f"{self.signal}: {self.kind}"


class Change(NamedTuple):
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

    def beyond_chance(self, deviations: float) -> float:
        """The size of the change less so many standard errors, at least 0."""
        return max(0.0, abs(self.mean) - deviations * float(np.sqrt(self.variance / max(self.accounts, 1))))

    def smallest_visible(self, tolerance: float, critical: float) -> float | None:
        """The smallest mean change that exceeds the critical value; None if no change of so few accounts can."""
        if self.accounts <= critical**2:
            return None
        # One account in all that changes by all it can: a variance of zero was seen, not known.
        variance = max(self.variance, 1 / max(self.accounts, 1))
        visible = tolerance + critical * float(np.sqrt(variance / (self.accounts - critical**2)))
        return visible if visible <= 1 else None


def measure_changes(
    before: pd.DataFrame, after: pd.DataFrame, families: Families = NO_FAMILIES
) -> dict[Aspect, Change]:
    """The change of every aspect of every column; the rows of both frames are the same accounts in the same order.

    The values of a family's numbers are also compared together.
    """
    if len(before) == 0:
        return {}
    family_of = {name: family for family, names in families.items() for name in names}
    columns: dict[str, list[str]] = {}
    for name in map(str, before.columns):
        columns.setdefault(family_of.get(name, ""), []).append(name)
    changes: dict[Aspect, Change] = {}
    for family, names in columns.items():  # a family at a time, for the memory
        for aspects, moved in _changes_of_family(family, before[names], after[names]):
            changes |= _summarize(aspects, moved)
    return changes


def _summarize(aspects: Sequence[Aspect], changes: FloatArray) -> dict[Aspect, Change]:
    """The change of each aspect, from the changes of accounts in its column."""
    means, variances = changes.mean(axis=0).tolist(), changes.var(axis=0).tolist()
    return {
        aspect: Change(mean, variance, len(changes))
        for aspect, mean, variance in zip(aspects, means, variances, strict=True)
    }


def _changes_of_family(
    family: str, before: pd.DataFrame, after: pd.DataFrame
) -> Iterator[tuple[Sequence[Aspect], FloatArray]]:
    """Aspects with the change of each account, a column per aspect; `family` is empty for columns of no family."""
    names = list(map(str, before.columns))
    numbers = [str(name) for name, kind in before.dtypes.items() if pd.api.types.is_numeric_dtype(kind)]
    yield _aspects(names, MISSING), after.isna().to_numpy("float64") - before.isna().to_numpy("float64")
    for name in [name for name in names if name not in numbers]:
        for kind, change in _category_changes(before[name], after[name]):
            yield [Aspect(name, kind)], change[:, np.newaxis]
    values = before[numbers].count().tolist()
    ranked = [name for name, count in zip(numbers, values, strict=True) if count >= MIN_VALUES]
    if ranked:
        old, new = before[ranked].to_numpy("float64"), after[ranked].to_numpy("float64")
        is_known = ~(np.isnan(old) | np.isnan(new))  # without a value on either day an account has not changed it
        old_ranks, new_ranks = _ranks(old, new)
        moves = np.where(is_known, new_ranks - old_ranks, 0.0)
        yield _aspects(ranked, VALUE), moves
        yield _aspects(ranked, TENFOLD), np.where(is_known, _tenfold(old, new), 0.0)
        if family and len(ranked) > 1:
            levels = np.where(np.isnan(old), 0.0, old_ranks - 0.5)
            yield [Aspect(family, TOGETHER)], _move_together(levels, moves)[:, np.newaxis]


def _aspects(names: Sequence[str], kind: str) -> list[Aspect]:
    return [Aspect(name, kind) for name in names]


def _tenfold(old: FloatArray, new: FloatArray) -> FloatArray:
    """1 for a value that grew tenfold or left zero, -1 for one that fell to a tenth or to zero, else 0."""
    was, now = np.abs(old), np.abs(new)
    grew, fell = (now > 0) & (now >= LARGE_RATIO * was), (was > 0) & (was >= LARGE_RATIO * now)
    return grew.astype("float64") - fell


def _move_together(levels: FloatArray, moves: FloatArray) -> FloatArray:
    """The mean move of signals; those that are low where the others are high are turned round."""
    directions = np.sign(np.linalg.eigh(levels.T @ levels)[1][:, -1])
    return moves @ directions / len(directions)


def _category_changes(before: pd.Series, after: pd.Series) -> Iterator[tuple[str, FloatArray]]:
    categories = before.value_counts().index
    for category in categories[:MAX_CATEGORIES]:
        yield str(category), (after == category).to_numpy("float64") - (before == category).to_numpy("float64")
    is_new = after.notna() & ~after.isin(categories)
    yield NEW_CATEGORY, np.asarray(is_new, "float64")


def _ranks(old: FloatArray, new: FloatArray) -> tuple[FloatArray, FloatArray]:
    """The share of the old values of its column below each old and each new value, ties counted by half.

    Of a value that is NaN the rank means nothing.
    """
    both = np.concatenate([old, new])
    order = both.argsort(axis=0)
    ordered = np.take_along_axis(both, order, axis=0)
    is_old = (order < len(old)) & ~np.isnan(ordered)
    up_to = is_old.cumsum(axis=0)
    differs = ordered[1:] != ordered[:-1]
    edge = np.ones((1, ordered.shape[1]), dtype=bool)
    is_first, is_last = np.concatenate([edge, differs]), np.concatenate([differs, edge])
    # Counts only grow along a column, so that of the first or last of equal values spreads over all of them.
    below = np.maximum.accumulate(np.where(is_first, up_to - is_old, 0), axis=0)
    through = np.minimum.accumulate(np.where(is_last, up_to, len(both))[::-1], axis=0)[::-1]
    ranks = np.empty(both.shape)
    np.put_along_axis(ranks, order, (below + through) / (2.0 * np.maximum(up_to[-1], 1)), axis=0)
    return ranks[: len(old)], ranks[len(old) :]
