"""Whether the usage of an account is falling or rising: an arrow only if it changed by more than its own noise.

The change is that of the logarithm of events a day: the last 28 days against the 63 days before, less the change of the
median account, so that a holiday is nobody's change. The noise is the standard deviation that the account's own days
give such a change: of the 63 days before, how many were active, and how much their events varied. It is made of signals
of one published day, so a past day has the arrow it had then.

An arrow needs a change of more noises than changes without a reason have. As for risks (see `risk_trend`), the tail is
extrapolated from how many noises half of the accounts and 90 % of them moved. Three quarters of the budget of false
arrows are that of the usage, the rest that of the risk, so that both together keep it.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import get_args

import numpy as np

from serving.accounts.trends.risk_trend import FALSE_ARROWS_A_YEAR, MIN_ACCOUNTS, USAGE_SHARE, extrapolate_tail
from serving.schemas.enums import UsageTrend

USAGE_TRENDS: tuple[UsageTrend, ...] = get_args(UsageTrend)
RECENT_DAYS, ALL_DAYS = 28, 91
EARLIER_DAYS = ALL_DAYS - RECENT_DAYS
SIGNALS = (
    "events_28d", "events_91d", "active_days_28d", "active_days_91d", "daily_events_cv_28d", "daily_events_cv_91d",
    "events_trend_91d",
)  # fmt: skip
# Weekly looks share most of their days, so a year has as many that differ as it has recent windows.
LOOKS_A_YEAR = 364 / RECENT_DAYS
TAIL_SHARE = FALSE_ARROWS_A_YEAR * USAGE_SHARE / LOOKS_A_YEAR
MIN_CHANGE = float(np.log(4 / 3))  # a fall by a quarter; a machine's usage may vary by less than people care about
MIN_ACTIVE_DAYS = 2  # of the earlier days; fewer do not vary
MIN_NOISE = 0.01  # of the usage that a machine makes every day
HALF_EVENT = 0.5  # keeps the logarithm of no events finite


@dataclass(frozen=True)
class UsageChange:
    """How each account's usage changed beyond the median account, as a log ratio, and its noise; NaN if not known."""

    sizes: np.ndarray
    noises: np.ndarray

    @property
    def in_noises(self) -> np.ndarray:
        """The change as a multiple of the account's own noise."""
        return self.sizes / self.noises


def judge_usage(change: UsageChange) -> np.ndarray:
    """The trend of each account's usage, as its place in `USAGE_TRENDS`."""
    trends = np.full(len(change.sizes), USAGE_TRENDS.index("not_known"))
    is_known = np.isfinite(change.in_noises)
    if is_known.sum() < MIN_ACCOUNTS:
        return trends
    band = np.maximum(extrapolate_tail(np.abs(change.in_noises[is_known]), TAIL_SHARE) * change.noises, MIN_CHANGE)
    trends[is_known] = USAGE_TRENDS.index("steady")
    trends[is_known & (change.sizes > band)] = USAGE_TRENDS.index("rising")
    trends[is_known & (change.sizes < -band)] = USAGE_TRENDS.index("falling")
    return trends


def measure_usage(signals: Mapping[str, np.ndarray]) -> UsageChange:
    """The changes of usage from the signals of one day (`SIGNALS`).

    It is not known of accounts without usage from before the 91 days, and of those with under two active days among the
    63.
    """
    noises = _own_noises(signals)
    is_known = np.isfinite(noises) & np.isfinite(signals["events_trend_91d"])
    recent, earlier = signals["events_28d"], signals["events_91d"] - signals["events_28d"]
    logs = np.log((recent + HALF_EVENT) / RECENT_DAYS) - np.log((earlier + HALF_EVENT) / EARLIER_DAYS)
    sizes = np.where(is_known, logs, np.nan)
    median = np.median(sizes[is_known]) if is_known.any() else 0.0
    return UsageChange(sizes - median, np.where(is_known, noises, np.nan))


def _own_noises(signals: Mapping[str, np.ndarray]) -> np.ndarray:
    """The standard deviation of each log ratio if every day were drawn from the earlier days; NaN if not known."""
    days = signals["active_days_91d"] - signals["active_days_28d"]
    events = signals["events_91d"] - signals["events_28d"]
    is_known = (days >= MIN_ACTIVE_DAYS) & (events > 0)
    days = np.where(is_known, days, np.nan)
    mean = events / days
    squares = _sum_squares(signals, ALL_DAYS) - _sum_squares(signals, RECENT_DAYS)
    variation = np.maximum(squares - days * mean**2, 0) / (days - 1) / mean**2  # of the events of an active day
    inactive_share = 1 - days / EARLIER_DAYS
    noises = np.sqrt((variation + inactive_share) * (1 / days + EARLIER_DAYS / RECENT_DAYS / days))
    return np.maximum(noises, MIN_NOISE)


def _sum_squares(signals: Mapping[str, np.ndarray], window: int) -> np.ndarray:
    """The sum of the squared events of the active days in a window."""
    events, days = signals[f"events_{window}d"], signals[f"active_days_{window}d"]
    mean = events / np.maximum(days, 1)
    deviation = np.where(days > 1, signals[f"daily_events_cv_{window}d"] * mean, 0)
    return days * mean**2 + np.maximum(days - 1, 0) * deviation**2
