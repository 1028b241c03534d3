"""Retention rates with their intervals, of groups of accounts: gross always with net, and logo."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from features.rate_interval import wilson_bounds

SAMPLES, SAMPLES_PER_CHUNK = 500, 50
SEED = 20_240_701
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
    usable = [grouping for grouping in groupings if len(grouping.codes)]
    bounds = _bootstrap(np.column_stack([start, np.minimum(start, end), end]), usable)
    figures: list[GroupRetention] = []
    for grouping, (low, high) in zip(usable, bounds, strict=True):
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


def _bootstrap(values: np.ndarray, groupings: Sequence[Grouping]) -> list[tuple[np.ndarray, np.ndarray]]:
    """The bounds of gross and net for every group, in columns; `values` are start, kept and end of each account."""
    random = np.random.default_rng(SEED)
    orders = [np.argsort(grouping.codes, kind="stable") for grouping in groupings]
    ordered = zip(groupings, orders, strict=True)
    begins = [np.searchsorted(grouping.codes[order], np.arange(len(grouping.groups))) for grouping, order in ordered]
    ratios: list[list[np.ndarray]] = [[] for _ in groupings]
    for _ in range(SAMPLES // SAMPLES_PER_CHUNK):
        weights = random.poisson(1.0, (SAMPLES_PER_CHUNK, len(values))).astype("float64")
        weighted = [weights * column for column in values.T]
        for sampled, order, begin in zip(ratios, orders, begins, strict=True):
            base, retained, end = (np.add.reduceat(column[:, order], begin, axis=1) for column in weighted)
            with np.errstate(invalid="ignore"):  # a sample may have nobody of a small group, which gets no interval
                sampled.append(np.stack([retained / base, end / base], axis=2))
    stacked = [np.concatenate(sampled) for sampled in ratios]
    return [tuple(np.nan_to_num(np.quantile(sampled, (0.025, 0.975), axis=0))) for sampled in stacked]
