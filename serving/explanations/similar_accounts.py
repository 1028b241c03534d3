"""Similar past accounts: the snapshots whose drivers were nearest to an account's, and what became of them."""

from dataclasses import dataclass

import numpy as np

from features.rate_interval import wilson_bounds
from training.data.past_snapshots import PastSnapshots

NEIGHBOURS, MIN_NEIGHBOURS = 50, 20


@dataclass(frozen=True)
class SimilarAccounts:
    """What became of the `count` most similar of `searched` accounts of a segment, all of them on test days.

    `low` and `high` are the bounds of the 95 % interval of the share that churned (Wilson, 1927). `margins` are those
    of the similar accounts. With fewer than 20 in the segment, `count` is 0 and the rest says nothing.
    """

    segment: str | None
    searched: int
    count: int
    churned: int
    low: float
    high: float
    first_day: str
    last_day: str
    margins: np.ndarray

    @property
    def rate(self) -> float:
        """The share that churned within the main horizon."""
        return self.churned / self.count


def find_similar(past: PastSnapshots, contributions: np.ndarray, segment: str | None) -> SimilarAccounts:
    """The 50 accounts of the same segment whose drivers were nearest, in log-odds by family; each counts once."""
    rows = np.flatnonzero(past.segments == segment) if segment else np.arange(len(past.churned))
    distances = np.linalg.norm(past.contributions[rows] - contributions, axis=1)
    ordered = rows[np.argsort(distances, kind="stable")]
    _, first = np.unique(past.accounts[ordered], return_index=True)
    searched = len(first)
    nearest = ordered[np.sort(first)[:NEIGHBOURS]] if searched >= MIN_NEIGHBOURS else ordered[:0]
    churned = int(past.churned[nearest].sum())
    low, high = wilson_bounds(churned, len(nearest))
    days = np.sort(past.days) if len(past.days) else np.array(["", ""])
    return SimilarAccounts(
        segment=segment,
        searched=searched,
        count=len(nearest),
        churned=churned,
        low=low,
        high=high,
        first_day=str(days[0]),
        last_day=str(days[-1]),
        margins=past.contributions[nearest].sum(axis=1),
    )
