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
UNSEEN_PRIOR = 0.25  # what a season may move a signal by, as far as nobody knows better
LARGE_PRIOR = 0.5  # the same around the turn of a year, when trends of usage double, and between two weekdays
HOLIDAYS_BEGIN, HOLIDAYS_END = (12, 20), (3, 5)  # windows of four weeks hold the holidays until then
SEASON_DAYS = 10
MIN_PAST_PAIRS = 6
YEAR_DAYS = 365
Changes = Mapping[Aspect, Change]
Pair = tuple[datetime, datetime]  # the earlier and the later day


@dataclass(frozen=True)
class Tolerance:
    """The usual change of each aspect at this lag, and the least that is tolerated: `prior` if the past is too short.

    `knows_season` says whether the past is long enough to rely on it.
    """

    usual: Mapping[Aspect, float]
    knows_season: bool
    prior: float = UNSEEN_PRIOR

    def of(self, aspect: Aspect) -> float:
        """How far an aspect may move without being worth a warning."""
        learned = max(FLOOR, SLACK * self.usual.get(aspect, 0.0))
        return learned if self.knows_season else max(learned, self.prior)


def learn_tolerance(past: Mapping[Pair, Changes], pair: Pair) -> Tolerance:
    """The tolerance for a pair of days, from past pairs.

    They must hold the same season of another year. A pair that joins two weekdays needs past pairs that do so, too.
    """
    usual: dict[Aspect, float] = {}
    is_holiday = _is_turn_of_year(pair[1])
    for (_, ended), changes in past.items():
        # What the holidays move is no excuse in summer.
        if _is_turn_of_year(ended) and not is_holiday:
            continue
        for aspect, change in changes.items():
            usual[aspect] = max(usual.get(aspect, 0.0), abs(change.mean))
    similar = [earlier for earlier in past if _joins_one_weekday(pair) or not _joins_one_weekday(earlier)]
    has_season = any(_is_same_season(pair[1], ended) for _, ended in past)
    is_unlike = not _joins_one_weekday(pair) and len(similar) < MIN_PAST_PAIRS
    prior = LARGE_PRIOR if is_holiday or is_unlike else UNSEEN_PRIOR
    return Tolerance(usual, has_season and len(similar) >= MIN_PAST_PAIRS, prior)


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


def _is_turn_of_year(day: date) -> bool:
    return (day.month, day.day) >= HOLIDAYS_BEGIN or (day.month, day.day) <= HOLIDAYS_END


def _joins_one_weekday(pair: Pair) -> bool:
    return (pair[1] - pair[0]).days % 7 == 0
