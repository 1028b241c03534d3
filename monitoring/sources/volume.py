"""The volume of a source: whether its newest rows, and their accounts, are as many as its own past foretells.

The newest week is compared with the weeks before, and the newest month with the months before: for a source that comes
on the first of each month, a week without rows is usual. A batch may come a few days early or late.
Weeks are read from the oldest on, and one that breaks the rhythm does not become part of it: so a break stays named
until it is mended, however long it lasts.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from functools import partial
from itertools import accumulate, islice, pairwise
from math import inf
from statistics import median
from typing import Literal

import numpy as np
import pandas as pd
from scipy.special import bdtr, bdtrc

from features.publishing.source_weeks import WEEK_DAYS, SourceWeek
from monitoring.sources.holidays import is_holiday
from monitoring.sources.rhythm import REMEMBERED_WEEKS

USUAL_WEEKS, USUAL_MONTHS, REMEMBERED_MONTHS = 8, 3, 12
LATE_DAYS, EARLY_DAYS = 4, 5  # that a batch may come later or sooner than a month after the last one
LOW, HIGH = 0.7, 1.5  # times the lowest and highest share of the usual that the own past showed
MIN_SHARE = 0.85  # what the lowest share counts as, at most: a past of a year does not hold all weeks
FEWEST_SHARES = 8
HOLIDAY_SHARE = 0.3
MONTH_WEEKS = 5
Period = Literal["week", "month"]


@dataclass(frozen=True)
class Window:
    """What a week or month holds, with the days for which it may be late, and without those that may be early."""

    upper: int
    lower: int
    before: Sequence[int]


@dataclass(frozen=True)
class VolumeBreak:
    """Since how many weeks (0: the newest) a week or month is not as usual, and what it holds and usually would.

    It lasts as long as a window is nearer to the first broken one than to the usual: on its side of `middle`.
    """

    since: int
    period: Period
    count: int
    usual: float
    middle: float

    def continued(self, window: Window) -> "VolumeBreak | None":
        """The break in a later window; None if it was mended."""
        if self.middle < self.usual:
            return replace(self, count=window.upper) if window.upper < self.middle else None
        return replace(self, count=window.lower) if window.lower > self.middle else None


NO_MONTH = Window(0, 0, ())
MonthOf = Callable[[int, Sequence[int]], Window]
"""The month that ends with a week; months before it with one of these broken weeks in them do not count."""


@dataclass(frozen=True)
class Expected:
    """What a window may hold: the usual number, and the lowest and highest share of it in the past."""

    usual: float
    low: float
    high: float

    def is_broken(self, window: Window, level: float) -> bool:
        """Whether a window is further from the usual than the past ever was, and than chance at this level."""
        if window.upper < LOW * self.low * self.usual:
            return _chance_of(window.upper, window.before, "fewer") < level
        return window.lower > HIGH * self.high * self.usual and _chance_of(window.lower, window.before, "more") < level


@dataclass
class Rhythm:
    """The lowest and the highest share of the usual that each window held, the oldest first."""

    required: int
    lows: list[float] = field(default_factory=list[float])
    highs: list[float] = field(default_factory=list[float])

    def expect(self, window: Window) -> Expected | None:
        """What a window may hold; None if those before it are too few, or mostly empty."""
        usual = self._usual(window)
        if not usual:
            return None
        # With a short past the windows that tell what is usual are all that shows how much they vary.
        own = [before / usual for before in window.before] if len(self.lows) < FEWEST_SHARES else []
        low = min(MIN_SHARE, *self.lows[-REMEMBERED_WEEKS:], *own)
        return Expected(usual, low, max(1.0, *self.highs[-REMEMBERED_WEEKS:], *own))

    def add(self, window: Window) -> None:
        """Take in a window that was in rhythm."""
        usual = self._usual(window)
        if usual or window.lower:
            self.lows.append(window.upper / usual if usual else inf)
            self.highs.append(window.lower / usual if usual else inf)

    def _usual(self, window: Window) -> float:
        return median(window.before) if len(window.before) >= self.required else 0.0


def find_row_break(weeks: Sequence[SourceWeek], as_of: datetime, level: float) -> VolumeBreak | None:
    """Whether the newest rows break the rhythm of the source, by its weeks or by its months."""
    return _follow([week.rows for week in weeks], _Months(weeks, as_of).window, as_of, level=level)


def find_account_break(weeks: Sequence[SourceWeek], as_of: datetime, level: float) -> VolumeBreak | None:
    """Whether the accounts with rows of the newest week break the rhythm of the weeks before."""
    return _follow([week.accounts for week in weeks], _count_no_month, as_of, level=level)


def _count_no_month(_week: int, _broken: Sequence[int]) -> Window:
    """The accounts of a month are no sum of those of its days."""
    return NO_MONTH


class _Months:
    """The rows of the month that ends with each week, and of the months before it."""

    def __init__(self, weeks: Sequence[SourceWeek], as_of: datetime) -> None:
        self._total = [0, *accumulate(rows for week in weeks for rows in week.by_day)]
        ends = pd.Timestamp(as_of) - pd.to_timedelta(WEEK_DAYS * np.arange(len(weeks)), unit="D")
        months = range(1, REMEMBERED_MONTHS + 2)
        # (pandas counts a month back from the 31st to the last day of the month before)
        self._days_back = np.array([(ends - (ends - pd.DateOffset(months=month))).days for month in months])

    def window(self, week: int, broken: Sequence[int]) -> Window:
        newest = WEEK_DAYS * week
        starts: list[int] = (newest + self._days_back[:, week]).tolist()
        months = (pair for pair in pairwise(starts) if pair[1] < len(self._total))
        unbroken = (pair for pair in months if not any(pair[0] <= WEEK_DAYS * at < pair[1] for at in broken))
        before = [self._rows(*pair) for pair in islice(unbroken, USUAL_MONTHS)]
        if not before:
            return NO_MONTH
        upper, lower = self._rows(newest, starts[0] + LATE_DAYS), self._rows(newest, starts[0] - EARLY_DAYS)
        return Window(upper, lower, before)

    def _rows(self, newest: int, oldest: int) -> int:
        return self._total[oldest] - self._total[newest]


@dataclass
class _Past:
    """The rhythms of the weeks and months up to a week, which weeks are in them, and which broke them."""

    level: float
    weekly: Rhythm = field(default_factory=partial(Rhythm, USUAL_WEEKS))
    monthly: Rhythm = field(default_factory=partial(Rhythm, USUAL_MONTHS))
    in_rhythm: list[int] = field(default_factory=list[int])
    broken: list[int] = field(default_factory=list[int])

    def find_break(self, week: int, of_week: Window, of_month: Window) -> VolumeBreak | None:
        """A break that begins with a week, by itself or by the month that ends with it."""
        expected = self.weekly.expect(of_week)
        if expected and expected.is_broken(of_week, self.level):
            return _to_break(week, "week", of_week, expected)
        # A month with a break in it says nothing of a source whose weeks tell that it was mended.
        is_recent = bool(self.broken) and self.broken[-1] - week < MONTH_WEEKS
        of_months = None if is_recent and expected and expected.low else self.monthly.expect(of_month)
        if of_months and of_months.is_broken(of_month, self.level):
            return _to_break(week, "month", of_month, of_months)
        return None

    def add(self, week: int, of_week: Window, of_month: Window) -> None:
        """Take in a week in rhythm."""
        self.weekly.add(of_week)
        self.monthly.add(of_month)
        self.in_rhythm.append(week)


def _follow(counts: Sequence[int], month_of: MonthOf, as_of: datetime, *, level: float) -> VolumeBreak | None:
    """The break in which the newest week lies."""
    past = _Past(level)
    newest: VolumeBreak | None = None
    for week in reversed(range(len(counts))):
        of_week = Window(counts[week], counts[week], [counts[at] for at in past.in_rhythm[-USUAL_WEEKS:]])
        if _is_quiet_holiday(of_week, as_of - timedelta(weeks=week)):
            continue
        of_month = month_of(week, past.broken)
        begun = past.find_break(week, of_week, of_month)
        if newest and begun:
            newest = replace(begun, since=newest.since)
        elif newest:
            newest = newest.continued(of_week if newest.period == "week" else of_month)
        else:
            newest = begun
        if newest:
            past.broken.append(week)
        else:
            past.add(week, of_week, of_month)
    return newest


def _to_break(week: int, period: Period, window: Window, expected: Expected) -> VolumeBreak:
    count = window.upper if window.upper < expected.usual else window.lower
    return VolumeBreak(week, period, count, expected.usual, (count + expected.usual) / 2)


def _chance_of(count: int, before: Sequence[int], side: Literal["fewer", "more"]) -> float:
    """How likely so few rows, or so many, are: of all rows the part of one window is binomial."""
    total, share = count + sum(before), 1 / (len(before) + 1)
    return float(bdtr(count, total, share) if side == "fewer" else bdtrc(count - 1, total, share))


def _is_quiet_holiday(week: Window, ended: datetime) -> bool:
    """Whether a week at the turn of a year is no lower than holidays may be: it says nothing of other weeks."""
    return is_holiday(ended) and len(week.before) > 0 and week.upper >= HOLIDAY_SHARE * median(week.before)
