"""Tolerance: how far a signal may move in four weeks, learned from the company's own past.

It is the largest change that the company's own four-week pairs of the same season showed, or what pairs of other
seasons usually show if that is more, times a slack, and never below a floor. A past that holds no pair of the same
season knows nothing of what the season does: then a prior tolerance applies.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime

import numpy as np

from monitoring.drift.paired_changes import Aspect, Change

FLOOR = 0.05  # of the scale of ranks: what is smaller is not worth a warning
SLACK = 2.0
CHANCE = 2.0  # standard errors: what is left of a past change may not have been chance
UNSEEN_PRIOR = 0.25  # what a season may move a signal by, as far as nobody knows better
LARGE_PRIOR = 0.5  # the same around the turn of a year, when trends of usage double, and between two weekdays
HOLIDAYS_BEGIN, HOLIDAYS_END = (12, 20), (3, 5)  # windows of four weeks hold the holidays until then
UNSEEN_FLOOR, UNSEEN_SLACK = 0.1, 4.0
SEASON_DAYS, NEAR_SEASON_DAYS = 10, 45
OTHER_SEASONS = 0.75  # the share of the pairs of other seasons that is tolerated in full
MIN_PAST_PAIRS = 6
YEAR_DAYS = 365
Changes = Mapping[Aspect, Change]
Pair = tuple[datetime, datetime]  # the earlier and the later day


@dataclass(frozen=True)
class Tolerance:
    """The usual change of each aspect at this lag, and the least that is tolerated: `prior` if the past is too short.

    `knows_season` says whether the past is long enough to rely on it. `knows_usual` says whether it is long enough for
    an ordinary season: a signal that hardly ever moved is not moved far by one.
    """

    usual: Mapping[Aspect, float]
    knows_season: bool
    prior: float = UNSEEN_PRIOR
    knows_usual: bool = False

    def of(self, aspect: Aspect) -> float:
        """How far an aspect may move without being worth a warning."""
        usual = self.usual.get(aspect, 0.0)
        learned = max(FLOOR, SLACK * usual)
        if self.knows_season:
            return learned
        unseen = max(UNSEEN_FLOOR, UNSEEN_SLACK * usual) if self.knows_usual else self.prior
        return max(learned, min(self.prior, unseen))


def learn_tolerance(past: Mapping[Pair, Changes], pair: Pair) -> Tolerance:
    """The tolerance for a pair of days, from past pairs.

    They must hold the same season of another year. A pair that joins two weekdays needs past pairs that do so, too.
    """
    is_holiday = _is_turn_of_year(pair[1])
    # What the holidays move is no excuse in summer.
    counted = {days: changes for days, changes in past.items() if is_holiday or not _is_turn_of_year(days[1])}
    similar = [earlier for earlier in past if _joins_one_weekday(pair) or not _joins_one_weekday(earlier)]
    has_season = any(_is_same_season(pair[1], ended, SEASON_DAYS) for _, ended in past)
    is_unlike = not _joins_one_weekday(pair) and len(similar) < MIN_PAST_PAIRS
    is_ordinary = not (is_holiday or is_unlike)
    knows_season = has_season and len(similar) >= MIN_PAST_PAIRS
    in_season = [ended for _, ended in past if _is_same_season(pair[1], ended, NEAR_SEASON_DAYS)]
    return Tolerance(
        _usual_changes(past, in_season) if knows_season else _usual_changes(counted, [ended for _, ended in counted]),
        knows_season=knows_season,
        prior=UNSEEN_PRIOR if is_ordinary else LARGE_PRIOR,
        knows_usual=is_ordinary and len(counted) >= MIN_PAST_PAIRS,
    )


def _usual_changes(past: Mapping[Pair, Changes], fully: Collection[datetime]) -> dict[Aspect, float]:
    """The largest change of each aspect in the pairs that end on these days, or what most others do not exceed.

    What another season does rarely is no excuse.
    """
    aspects = list(dict.fromkeys(aspect for changes in past.values() for aspect in changes))
    moved = {
        days: np.array([changes[aspect].beyond_chance(CHANCE) if aspect in changes else 0.0 for aspect in aspects])
        for days, changes in past.items()
    }
    own = [row for (_, ended), row in moved.items() if ended in fully]
    others = [row for (_, ended), row in moved.items() if ended not in fully]
    usual = np.max(own, axis=0) if own else np.zeros(len(aspects))
    if others:
        usual = np.maximum(usual, np.quantile(others, OTHER_SEASONS, axis=0))
    return dict(zip(aspects, usual.tolist(), strict=True))


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


def _is_same_season(day: date, other: date, days: int) -> bool:
    apart = abs((day - other).days) % YEAR_DAYS
    return abs((day - other).days) > YEAR_DAYS / 2 and min(apart, YEAR_DAYS - apart) <= days


def _is_turn_of_year(day: date) -> bool:
    return (day.month, day.day) >= HOLIDAYS_BEGIN or (day.month, day.day) <= HOLIDAYS_END


def _joins_one_weekday(pair: Pair) -> bool:
    return (pair[1] - pair[0]).days % 7 == 0
