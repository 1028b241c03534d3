"""The calendar of a simulated company, and what its shifts change in each week.

A month has four weeks: days 1-7, 8-14, 15-21 and the rest. Hidden state changes only between weeks, so every month
starts with a change. Days are counted from 0, the company's start.
"""

from dataclasses import dataclass

import numpy as np

from features.simulator.model.churn_causes import CAUSES
from features.simulator.model.parameters import Company, Shift

WEEKS_PER_MONTH = 4
HORIZONS = (30, 90, 180)
EXTRA_MONTHS = 8  # futures run 180 days past the last month's start, and a notice then takes one month more
PRICE_RISE_LOGIT = 4.0  # logit per share of price rise: 10 % more raises the odds of leaving by half


@dataclass(frozen=True)
class World:
    """What all accounts share. Arrays are per week unless noted, and run past the end of the simulation."""

    company: Company
    month_starts: np.ndarray  # first day of each month, (months + EXTRA_MONTHS + 1,)
    week_starts: np.ndarray  # first day
    week_lengths: np.ndarray  # days
    cause_weights: np.ndarray  # logit of each cause at severity 1, (weeks, causes)
    base_logit: np.ndarray
    value_logit: np.ndarray
    usage_level: np.ndarray
    price_level: np.ndarray  # per month

    @property
    def week_count(self) -> int:
        """The number of simulated weeks."""
        return self.company.months * WEEKS_PER_MONTH

    @property
    def day_count(self) -> int:
        """The number of simulated days, which is also the day on which the simulation ends."""
        return int(self.month_starts[self.company.months])


def build_world(company: Company) -> World:
    """Lay out the calendar and apply the shifts to it."""
    month_starts = _month_starts(company)
    week_starts = (month_starts[:-1, None] + np.array([0, 7, 14, 21])).ravel()
    month = np.arange(len(week_starts)) / WEEKS_PER_MONTH
    return World(
        company=company,
        month_starts=month_starts,
        week_starts=week_starts,
        week_lengths=np.diff(np.append(week_starts, month_starts[-1])),
        cause_weights=_cause_weights(company, month),
        base_logit=company.base_logit + _seasonal_logit(company, month),
        value_logit=sum(
            (_price_rise_logit(shift, month) for shift in _shifts_of_kind(company, "price")), np.zeros_like(month)
        ),
        usage_level=_usage_level(company, month),
        price_level=_price_level(company, np.arange(len(month_starts))),
    )


def to_timestamps(world: World, days: np.ndarray) -> np.ndarray:
    """UTC timestamps, to the second, for days counted from the start; NaN becomes NaT."""
    first = np.datetime64(world.company.start, "us")
    seconds = np.round(np.where(np.isnan(days), 0, days) * 86_400).astype(np.int64)
    return np.where(np.isnan(days), np.datetime64("NaT"), first + seconds.astype("timedelta64[s]"))


def week_by_day(world: World) -> np.ndarray:
    """The week of each simulated day, (days,)."""
    return np.repeat(np.arange(world.week_count), world.week_lengths[: world.week_count])


def month_start_days(world: World, month: np.ndarray) -> np.ndarray:
    """The first day of months counted from the start; months before the start and after the end are allowed."""
    first = np.datetime64(world.company.start, "M") + month
    return (first.astype("datetime64[D]") - np.datetime64(world.company.start, "D")).astype(np.int64)


def _month_starts(company: Company) -> np.ndarray:
    first = np.datetime64(company.start, "M")
    month_starts = first + np.arange(company.months + EXTRA_MONTHS + 1)
    return (month_starts.astype("datetime64[D]") - np.datetime64(company.start, "D")).astype(np.int64)


def _shifts_of_kind(company: Company, kind: str) -> list[Shift]:
    return [shift for shift in company.shifts if shift.kind == kind]


def _cause_weights(company: Company, month: np.ndarray) -> np.ndarray:
    cause_weights = np.tile([cause.weight * company.cause_strength for cause in CAUSES], (len(month), 1))
    direction = {"adoption": -1, "relationship": 1, "support": 1}
    direction_sign = np.array([direction.get(cause.family, 0) for cause in CAUSES])
    for shift in _shifts_of_kind(company, "relation"):
        cause_weights[month >= shift.month] *= np.maximum(1 + direction_sign * shift.strength, 0)
    return cause_weights.astype(np.float32)


def _seasonal_logit(company: Company, month: np.ndarray) -> np.ndarray:
    swings = (
        shift.strength * np.sin(2 * np.pi * (month - shift.month) / 12) * (month >= shift.month)
        for shift in _shifts_of_kind(company, "season")
    )
    return sum(swings, np.zeros_like(month))


def _price_rise_logit(shift: Shift, month: np.ndarray) -> np.ndarray:
    return PRICE_RISE_LOGIT * shift.strength * ((month >= shift.month) & (month < shift.month + 12))


def _usage_level(company: Company, month: np.ndarray) -> np.ndarray:
    return _raised(np.exp(-0.5 * _seasonal_logit(company, month)), _shifts_of_kind(company, "covariate"), month)


def _price_level(company: Company, month: np.ndarray) -> np.ndarray:
    return _raised(np.ones(len(month)), _shifts_of_kind(company, "price"), month)


def _raised(level: np.ndarray, shifts: list[Shift], month: np.ndarray) -> np.ndarray:
    """The level, raised by the strength of each shift from its month on."""
    for shift in shifts:
        level = level * np.where(month >= shift.month, 1 + shift.strength, 1.0)
    return level
