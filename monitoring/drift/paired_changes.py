"""Paired changes: how far each signal of the same accounts moved between two days.

A number is put on the scale of the earlier day's ranks, 0 to 1, so that units and outliers do not matter. A change by
ten times or more, and to or from zero, is counted apart: all accounts make it together only if a source stops or a unit
changes. Being missing is a value of its own, and so is each category. Because each account is compared with itself,
differences between accounts do not count as noise, and new or departed accounts do not count as change.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
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
    return {
        aspect: Change(float(change.mean()), float(change.var()), len(change))
        for family, names in columns.items()  # a family at a time, for the memory
        for aspect, change in _changes_of_family(family, before[names], after[names])
    }


def _changes_of_family(family: str, before: pd.DataFrame, after: pd.DataFrame) -> Iterator[tuple[Aspect, FloatArray]]:
    """The change of each account by aspect; `family` is empty for columns of no family."""
    levels: list[FloatArray] = []
    moves: list[FloatArray] = []
    for name in map(str, before.columns):
        was_missing, is_missing = before[name].isna().to_numpy(), after[name].isna().to_numpy()
        yield Aspect(name, MISSING), is_missing.astype("float64") - was_missing
        if not pd.api.types.is_numeric_dtype(before[name]):
            yield from ((Aspect(name, kind), change) for kind, change in _category_changes(before[name], after[name]))
            continue
        old, new = before[name].to_numpy("float64"), after[name].to_numpy("float64")
        ordered = np.sort(old[~was_missing])
        if len(ordered) < MIN_VALUES:
            continue
        is_known = ~(was_missing | is_missing)  # an account without a value on either day has not changed its value
        level = _ranks(ordered, old)
        moves.append(np.where(is_known, _ranks(ordered, new) - level, 0.0))
        levels.append(np.where(was_missing, 0.0, level - 0.5))
        yield Aspect(name, VALUE), moves[-1]
        yield Aspect(name, TENFOLD), np.where(is_known, _tenfold(old, new), 0.0)
    if family and len(moves) > 1:
        yield Aspect(family, TOGETHER), _move_together(np.array(levels), np.array(moves))


def _tenfold(old: FloatArray, new: FloatArray) -> FloatArray:
    """1 for a value that grew tenfold or left zero, -1 for one that fell to a tenth or to zero, else 0."""
    was, now = np.abs(old), np.abs(new)
    grew, fell = (now > 0) & (now >= LARGE_RATIO * was), (was > 0) & (was >= LARGE_RATIO * now)
    return grew.astype("float64") - fell


def _move_together(levels: FloatArray, moves: FloatArray) -> FloatArray:
    """The mean move of signals; those that are low where the others are high are turned round."""
    directions = np.sign(np.linalg.eigh(levels @ levels.T)[1][:, -1])
    return directions @ moves / len(moves)


def _category_changes(before: pd.Series, after: pd.Series) -> Iterator[tuple[str, FloatArray]]:
    categories = before.value_counts().index
    for category in categories[:MAX_CATEGORIES]:
        yield str(category), (after == category).to_numpy("float64") - (before == category).to_numpy("float64")
    is_new = after.notna() & ~after.isin(categories)
    yield NEW_CATEGORY, np.asarray(is_new, "float64")


def _ranks(ordered: FloatArray, values: FloatArray) -> FloatArray:
    """The share of `ordered` below each value, ties counted by half."""
    below: NDArray[np.int64] = np.searchsorted(ordered, values, side="left")
    up_to: NDArray[np.int64] = np.searchsorted(ordered, values, side="right")
    return (below + up_to) / (2.0 * len(ordered))
