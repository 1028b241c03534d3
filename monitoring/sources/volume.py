"""The volume of a source: whether its newest rows, and their accounts, are as many as its own past foretells.

The newest week is compared with the weeks before. Where a week without rows is usual, such as in a source that comes on
the first of each month, the newest month is compared with the months before; a batch may come a few days early or late.
Weeks are read from the oldest on, and one that breaks the rhythm does not become part of it: so a break stays named
until it is mended, however long it lasts.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import accumulate, islice, pairwise
from math import inf
from statistics import median
from typing import Literal

import numpy as np
import pandas as pd
from scipy.special import bdtr, bdtrc

from features.publishing.source_weeks import WEEK_DAYS, SourceWeek
from monitoring.sources.holidays import is_holiday

USUAL_WEEKS, USUAL_MONTHS, REMEMBERED_WEEKS, REMEMBERED_MONTHS = 8, 3, 52, 12
LATE_DAYS, EARLY_DAYS = 4, 5  # that a batch may come later or sooner than a month after the last one
LOW, HIGH = 0.7, 1.5  # times the lowest and highest share of the usual that the own past showed
MIN_SHARE = 0.85  # what the lowest share counts as, at most: a past of a year does not hold all weeks
FEWEST_SHARES = 8
HOLIDAY_SHARE = 0.3
Period = Literal["week", "month"]


@dataclass(frozen=True)
class VolumeBreak:
    """Since how many weeks (0: the newest) a week or month is not as usual, and what it holds and usually would."""

    since: int
    period: Period
    count: int
    usual: float


@dataclass(frozen=True)
class Window:
    """What a week or month holds, with the days for which it may be late, and without those that may be early."""

    upper: int
    lower: int
    before: Sequence[int]


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
    """Whether the newest rows break the rhythm of the source, by its weeks or else by its months."""
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


def _follow(counts: Sequence[int], month_of: MonthOf, as_of: datetime, *, level: float) -> VolumeBreak | None:
    weekly, monthly = Rhythm(USUAL_WEEKS), Rhythm(USUAL_MONTHS)
    in_rhythm: list[int] = []
    broken: list[int] = []
    newest: VolumeBreak | None = None
    for week in reversed(range(len(counts))):
        of_week = Window(counts[week], counts[week], [counts[earlier] for earlier in in_rhythm[-USUAL_WEEKS:]])
        if _is_quiet_holiday(of_week, as_of - timedelta(weeks=week)):
            continue
        of_month = month_of(week, broken)
        period, window, expected = _choose((of_week, weekly.expect(of_week)), (of_month, monthly.expect(of_month)))
        if expected and expected.is_broken(window, level):
            count = window.upper if window.upper < expected.usual else window.lower
            newest = VolumeBreak(newest.since if newest else week, period, count, expected.usual)
            broken.append(week)
            continue
        weekly.add(of_week)
        monthly.add(of_month)
        in_rhythm.append(week)
        newest = None
    return newest


def _choose(
    of_week: tuple[Window, Expected | None], of_month: tuple[Window, Expected | None]
) -> tuple[Period, Window, Expected | None]:
    """The week if it is never empty, or else the month if it can be foretold."""
    is_steady = of_week[1] is not None and of_week[1].low > 0
    return ("week", *of_week) if is_steady or of_month[1] is None else ("month", *of_month)


def _chance_of(count: int, before: Sequence[int], side: Literal["fewer", "more"]) -> float:
    """How likely so few rows, or so many, are: of all rows the part of one window is binomial."""
    total, share = count + sum(before), 1 / (len(before) + 1)
    return float(bdtr(count, total, share) if side == "fewer" else bdtrc(count - 1, total, share))


def _is_quiet_holiday(week: Window, ended: datetime) -> bool:
    """Whether a week at the turn of a year is no lower than holidays may be: it says nothing of other weeks."""
    return is_holiday(ended) and len(week.before) > 0 and week.upper >= HOLIDAY_SHARE * median(week.before)
