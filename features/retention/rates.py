"""Retention rates with their intervals, of groups of accounts: gross always with net, and logo."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from features.rate_interval import wilson_bounds
from features.retention.bootstrap import bootstrap_bounds

MIN_ACCOUNTS, MIN_CHANGED = 20, 5


@dataclass(frozen=True)
class RateInterval:
    """A rate with its interval of 95 %; the bounds are None if there are too few accounts for one."""

    rate: float
    low: float | None
    high: float | None


@dataclass(frozen=True)
class GroupRetention:
    """The retention of the accounts of a group that paid at the start; amounts in hundredths.

    `end` is what these accounts pay at the end: start + expansion - contraction - churned.
    """

    dimension: str
    group: str
    accounts: int
    stayed: int
    start: int
    expansion: int
    contraction: int
    churned: int
    gross: RateInterval
    net: RateInterval
    logo: RateInterval

    @property
    def end(self) -> int:
        return self.start + self.expansion - self.contraction - self.churned


@dataclass(frozen=True)
class Grouping:
    """A dimension with the group of each account, as codes."""

    dimension: str
    groups: Sequence[str]
    codes: np.ndarray


def group_retention(start: np.ndarray, end: np.ndarray, groupings: Sequence[Grouping]) -> list[GroupRetention]:
    """The retention of every group of every dimension; all accounts paid at the start.

    >>> start, end = np.array([100_00, 200_00, 300_00]), np.array([150_00, 100_00, 0])
    >>> (everybody,) = group_retention(start, end, [Grouping("all", ["all"], np.zeros(3, int))])
    >>> everybody.gross.rate, everybody.net.rate, everybody.stayed
    (0.3333333333333333, 0.4166666666666667, 2)
    """
    figures: list[GroupRetention] = []
    for grouping in groupings if len(start) else ():
        low, high = bootstrap_bounds(start, end, grouping.codes)
        for code, group in enumerate(grouping.groups):
            members = grouping.codes == code
            intervals = [(float(low[code, rate]), float(high[code, rate])) for rate in (0, 1)]
            figures.append(_measure(grouping.dimension, group, start[members], end[members], intervals))
    return figures


def _measure(
    dimension: str, group: str, start: np.ndarray, end: np.ndarray, bounds: list[tuple[float, float]]
) -> GroupRetention:
    total, has_left = int(start.sum()), end == 0
    shrank, grew = ~has_left & (end < start), end > start
    stayed = int((~has_left).sum())
    return GroupRetention(
        dimension=dimension,
        group=group,
        accounts=len(start),
        stayed=stayed,
        start=total,
        expansion=int((end - start)[grew].sum()),
        contraction=int((start - end)[shrank].sum()),
        churned=int(start[has_left].sum()),
        gross=_interval(int(np.minimum(start, end).sum()) / total, bounds[0], len(start), int((end < start).sum())),
        net=_interval(int(end.sum()) / total, bounds[1], len(start), int((end != start).sum())),
        logo=RateInterval(stayed / len(start), *wilson_bounds(stayed, len(start))),
    )


def _interval(rate: float, bounds: tuple[float, float], accounts: int, changed: int) -> RateInterval:
    """Without enough accounts that changed, the samples say too little of what else could have happened."""
    is_enough = accounts >= MIN_ACCOUNTS and changed >= MIN_CHANGED
    return RateInterval(rate, *(bounds if is_enough else (None, None)))
