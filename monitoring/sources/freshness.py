"""The freshness of a source: whether it has had no row for far longer than ever before.

This sees a source of few rows stop, of which a week without any is nothing unusual.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import pairwise
from math import exp

from scipy.special import betaln

from features.publishing.source_weeks import WEEK_DAYS, SourceWeek
from monitoring.evidence.budget import YEAR_DAYS
from monitoring.sources.holidays import is_holiday

FEWEST_GAPS = 8


@dataclass(frozen=True)
class Silence:
    """For how many days a source has had no row, and what the longest time without one was before."""

    days: int
    longest_before: int


@dataclass(frozen=True)
class _Gaps:
    """How many gaps between days with rows there were, how many days the longest was, and how many come in a year."""

    count: int
    longest: int
    per_year: float


def find_silence(weeks: Sequence[SourceWeek], as_of: datetime, false_alarms_per_year: float) -> Silence | None:
    """The days without a row up to the newest one, if a source in its rhythm is silent for so long too rarely."""
    with_rows = [day for day, rows in enumerate(rows for week in weeks for rows in week.by_day) if rows]
    if len(with_rows) <= FEWEST_GAPS or with_rows[0] < WEEK_DAYS:
        return None
    past = _past_gaps(with_rows, false_alarms_per_year)
    working = sum(not is_holiday(as_of - timedelta(days=day + 1)) for day in range(with_rows[0]))
    is_silent = _is_too_long(working, past, false_alarms_per_year)
    return Silence(with_rows[0], past.longest - 1) if is_silent else None


def _past_gaps(with_rows: Sequence[int], false_alarms_per_year: float) -> _Gaps:
    """The gaps of the past without those in which the source had stopped."""
    per_year = YEAR_DAYS * (len(with_rows) - 1) / (with_rows[-1] - with_rows[0])
    past = _Gaps(0, 1, per_year)
    for earlier, later in pairwise(with_rows[::-1]):
        gap = earlier - later
        is_stop = past.count >= FEWEST_GAPS and _is_too_long(gap, past, false_alarms_per_year)
        past = past if is_stop else _Gaps(past.count + 1, max(past.longest, gap), per_year)
    return past


def _is_too_long(days: int, past: _Gaps, false_alarms_per_year: float) -> bool:
    """Whether gaps without memory exceed the longest of so many by this factor less than so often a year.

    The next of n + 1 exponential gaps is f times the longest of the others with the probability n B(1 + f, n).
    """
    if days <= past.longest:
        return False
    chance = past.count * exp(betaln(1 + days / past.longest, past.count))
    return chance * past.per_year < false_alarms_per_year
