"""Time to value: how soon new accounts reach the milestone `first_value`, and the contract left then."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import timedelta
from math import ceil, floor, sqrt

import numpy as np

from features.rate_interval import Z, wilson_bounds
from features.retention.periods import subtract_months
from features.retention.rates import MIN_ACCOUNTS, RateInterval
from features.retention.report import EVERYBODY, NOT_NAMED
from features.store.revenue_table import INSTANT, RevenueHistory

WITHIN_DAYS = 90
COHORT_MONTHS = 12
DAY = np.timedelta64(1, "D")


@dataclass(frozen=True)
class MiddleDays:
    """The median of a number of days with its 95 % interval, of `accounts`; None beyond what half of them reached."""

    days: float | None
    low: float | None
    high: float | None
    accounts: int


@dataclass(frozen=True)
class TimeToValue:
    """The accounts of a group that began in the year that ended 90 days before the day.

    `reached` is the share that had its first value within 90 days, `days` the median from the start to it, an account
    that has not reached it counted as later than all. `contract_left` is of those that reached it in a term whose end
    is known. `waiting` of them pay and have not reached it, `waiting_revenue` a month, in hundredths.
    """

    group: str
    accounts: int
    reached: RateInterval
    days: MiddleDays
    contract_left: MiddleDays
    waiting: int
    waiting_revenue: int


def measure_time_to_value(history: RevenueHistory) -> Sequence[TimeToValue]:
    """The figures of all accounts and of each segment; none if no milestone is known, or no account began then."""
    until = history.as_of - timedelta(days=WITHIN_DAYS)
    since = subtract_months(until, COHORT_MONTHS)
    first, last = (np.datetime64(instant).astype(INSTANT) for instant in (since, until))
    began = history.take((history.first_started >= first) & (history.first_started < last))
    if np.isnat(history.first_value_at).all() or not len(began.cents) or not history.instants:
        return ()
    if history.instants[0] > since:  # what began before the data is not all known
        began = began.take(began.first_started >= np.datetime64(history.instants[0]).astype(INSTANT))
    return [_measure(name, members) for name, members in _groups(began) if len(members.cents)]


def _groups(history: RevenueHistory) -> Iterator[tuple[str, RevenueHistory]]:
    """All accounts, then those of each segment, if the data set has segments."""
    yield EVERYBODY, history
    segments = history.attributes.get("segment")
    if segments is not None:
        named = np.array([NOT_NAMED if name is None else str(name) for name in segments], dtype=object)
        yield from ((name, history.take(named == name)) for name in sorted(set(named)))


def _measure(group: str, history: RevenueHistory) -> TimeToValue:
    days = (history.first_value_at - history.first_started) / DAY  # NaN of those that have not reached it
    left = (history.value_term_ends_at - history.first_value_at) / DAY
    reached, paid = int((days <= WITHIN_DAYS).sum()), history.cents[:, -1]
    is_waiting = np.isnan(days) & (paid > 0)
    return TimeToValue(
        group=group,
        accounts=len(days),
        reached=RateInterval(reached / len(days), *wilson_bounds(reached, len(days))),
        days=middle_days(np.where(np.isnan(days), np.inf, days)),
        contract_left=middle_days(left[~np.isnan(left)]),
        waiting=int(is_waiting.sum()),
        waiting_revenue=int(paid[is_waiting].sum()),
    )


def middle_days(days: np.ndarray) -> MiddleDays:
    """The median with the order statistics that bound it with 95 %; infinite days are later than all others.

    >>> middle_days(np.arange(100.0))
    MiddleDays(days=49.5, low=39.0, high=60.0, accounts=100)
    """
    count, ordered = len(days), np.sort(days)
    if not count:
        return MiddleDays(None, None, None, 0)
    middle = (ordered[(count - 1) // 2] + ordered[count // 2]) / 2
    low = max(floor((count - Z * sqrt(count)) / 2), 1)
    high = min(ceil(1 + (count + Z * sqrt(count)) / 2), count)
    bounds = (ordered[low - 1], ordered[high - 1]) if count >= MIN_ACCOUNTS else (np.inf, np.inf)
    days_or_none = [float(value) if np.isfinite(value) else None for value in (middle, *bounds)]
    return MiddleDays(days_or_none[0], days_or_none[1], days_or_none[2], count)
