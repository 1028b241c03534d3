"""Movements of recurring revenue between two instants, which add up exactly: from the start to the end."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import pairwise

import numpy as np

from features.store.revenue_table import INSTANT, RevenueHistory


@dataclass(frozen=True)
class RevenueMovement:
    """start + new + returned + expansion - contraction - churned = end, in hundredths; and how many accounts moved."""

    since: datetime
    until: datetime
    start: int
    new: int
    returned: int
    expansion: int
    contraction: int
    churned: int
    end: int
    accounts_new: int
    accounts_churned: int

    @property
    def parts(self) -> tuple[int, int, int, int, int]:
        """The changes with their signs, in the order of the formula."""
        return self.new, self.returned, self.expansion, -self.contraction, -self.churned


def measure_movement(history: RevenueHistory, first: int, last: int) -> RevenueMovement:
    """The movement between two of the history's instants, by their columns."""
    since, until = history.instants[first], history.instants[last]
    before, after = history.cents[:, first], history.cents[:, last]
    gained, lost = (before == 0) & (after > 0), (before > 0) & (after == 0)
    is_new = gained & (history.first_started >= np.datetime64(since).astype(INSTANT))
    change = after - before
    stayed = (before > 0) & (after > 0)
    return RevenueMovement(
        since=since,
        until=until,
        start=int(before.sum()),
        new=int(after[is_new].sum()),
        returned=int(after[gained & ~is_new].sum()),
        expansion=int(change[stayed & (change > 0)].sum()),
        contraction=int(-change[stayed & (change < 0)].sum()),
        churned=int(before[lost].sum()),
        end=int(after.sum()),
        accounts_new=int(is_new.sum()),
        accounts_churned=int(lost.sum()),
    )


def measure_months(history: RevenueHistory, since: datetime) -> Sequence[RevenueMovement]:
    """The movement of every calendar month from `since` to `as_of`; the first and the last may be a part of a month."""
    columns = [
        column
        for column, instant in enumerate(history.instants)
        if instant >= since and (instant.day == 1 or instant in {since, history.as_of})
    ]
    return [measure_movement(history, *pair) for pair in pairwise(columns)]
