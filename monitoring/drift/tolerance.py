"""Tolerance: how far a signal may move in four weeks, learned from the company's own past.

It is the largest change that the company's own four-week pairs showed, times a slack, and never below a floor. A past
that holds no pair of the same season knows nothing of what the season does: then a prior tolerance applies.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime

from monitoring.drift.paired_changes import Aspect, Change

FLOOR = 0.05  # of the scale of ranks: what is smaller is not worth a warning
SLACK = 2.0
SEASON_PRIOR = 0.25  # what holidays may move a signal by, as far as nobody knows better
SEASON_DAYS = 10
MIN_PAST_PAIRS = 6
YEAR_DAYS = 365
Changes = Mapping[Aspect, Change]


@dataclass(frozen=True)
class Tolerance:
    """The usual change of each aspect at this lag, and whether the past holds enough to rely on it."""

    usual: Mapping[Aspect, float]
    past_pairs: int
    knows_season: bool

    @property
    def is_prior(self) -> bool:
        """Whether the stated prior applies, because the company's own past is too short."""
        return self.past_pairs < MIN_PAST_PAIRS or not self.knows_season

    def of(self, aspect: Aspect) -> float:
        """How far an aspect may move without being worth a warning."""
        learned = max(FLOOR, SLACK * self.usual.get(aspect, 0.0))
        return max(learned, SEASON_PRIOR) if self.is_prior else learned


def learn_tolerance(past: Mapping[datetime, Changes], day: datetime) -> Tolerance:
    """The tolerance for a pair that ends on a day, from past pairs by the day on which they ended."""
    usual: dict[Aspect, float] = {}
    for changes in past.values():
        for aspect, change in changes.items():
            usual[aspect] = max(usual.get(aspect, 0.0), abs(change.mean))
    return Tolerance(usual, len(past), any(_is_same_season(day, ended) for ended in past))


def choose_pairs(days: Sequence[datetime], lag_days: int, slack_days: int) -> dict[datetime, datetime]:
    """For each day (the key) the earlier day that is nearest to `lag_days` before it, within `slack_days`."""
    pairs: dict[datetime, datetime] = {}
    for day in days:
        distances = {earlier: abs((day - earlier).days - lag_days) for earlier in days if earlier < day}
        near = [earlier for earlier, distance in distances.items() if distance <= slack_days]
        if near:
            pairs[day] = min(near, key=lambda earlier: (distances[earlier], -earlier.toordinal()))
    return pairs


def thin_out(days: Sequence[datetime], spacing_days: int, limit: int) -> list[datetime]:
    """At most `limit` of the days, newest first, each at least `spacing_days` before the last one chosen."""
    chosen: list[datetime] = []
    for day in sorted(days, reverse=True):
        if not chosen or (chosen[-1] - day).days >= spacing_days:
            chosen.append(day)
    return chosen[:limit]


def _is_same_season(day: date, other: date) -> bool:
    apart = abs((day - other).days) % YEAR_DAYS
    return abs((day - other).days) > YEAR_DAYS / 2 and min(apart, YEAR_DAYS - apart) <= SEASON_DAYS
