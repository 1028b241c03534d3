"""The calendar of a company, and what its shifts do in each week of it.

A month has four weeks: days 1-7, 8-14, 15-21 and the rest. Hidden state changes between weeks only, so that every
month starts on a change; days are counted from 0, the company's start.
"""

from dataclasses import dataclass

import numpy as np

from features.simulator.model.churn_causes import CAUSES
from features.simulator.model.parameters import Company, Shift

WEEKS_A_MONTH = 4
HORIZONS = (30, 90, 180)
MONTHS_BEYOND = 8  # futures run 180 days past the last month's start, and a notice given then runs one month more
PRICE_PAIN = 4.0  # logit per share of price rise: 10 % more raises the odds of leaving by half


@dataclass(frozen=True)
class World:
    """What is the same for all accounts; arrays are per week unless said otherwise, and run past the end."""

    company: Company
    months: np.ndarray  # first day of each month, (months + MONTHS_BEYOND + 1,)
    starts: np.ndarray  # first day
    lengths: np.ndarray  # days
    weights: np.ndarray  # logit of each cause at severity 1, (weeks, causes)
    base_logit: np.ndarray
    value_logit: np.ndarray
    usage_level: np.ndarray
    price_level: np.ndarray  # per month

    @property
    def weeks(self) -> int:
        """How many weeks are lived through."""
        return self.company.months * WEEKS_A_MONTH

    @property
    def days(self) -> int:
        """How many days are lived through; also the day of the end."""
        return int(self.months[self.company.months])


def world_of(company: Company) -> World:
    """Lay out the calendar and let the shifts act on it."""
    months = _month_starts(company)
    starts = (months[:-1, None] + np.array([0, 7, 14, 21])).ravel()
    month = np.arange(len(starts)) / WEEKS_A_MONTH
    return World(
        company=company,
        months=months,
        starts=starts,
        lengths=np.diff(np.append(starts, months[-1])),
        weights=_weights(company, month),
        base_logit=company.base_logit + _swing(company, month),
        value_logit=sum((_price_pain(shift, month) for shift in _of(company, "price")), np.zeros_like(month)),
        usage_level=_usage_level(company, month),
        price_level=_price_level(company, np.arange(len(months))),
    )


def dates(world: World, days: np.ndarray) -> np.ndarray:
    """Instants (UTC, to the second) for days counted from the start; NaN becomes NaT."""
    first = np.datetime64(world.company.start, "us")
    seconds = np.round(np.where(np.isnan(days), 0, days) * 86_400).astype(np.int64)
    return np.where(np.isnan(days), np.datetime64("NaT"), first + seconds.astype("timedelta64[s]"))


def week_of_day(world: World) -> np.ndarray:
    """The week each lived day belongs to, (days,)."""
    return np.repeat(np.arange(world.weeks), world.lengths[: world.weeks])


def first_days(world: World, month: np.ndarray) -> np.ndarray:
    """The first day of any month counted from the start, before and beyond it too."""
    first = np.datetime64(world.company.start, "M") + month
    return (first.astype("datetime64[D]") - np.datetime64(world.company.start, "D")).astype(np.int64)


def _month_starts(company: Company) -> np.ndarray:
    first = np.datetime64(company.start, "M")
    months = first + np.arange(company.months + MONTHS_BEYOND + 1)
    return (months.astype("datetime64[D]") - np.datetime64(company.start, "D")).astype(np.int64)


def _of(company: Company, kind: str) -> list[Shift]:
    return [shift for shift in company.shifts if shift.kind == kind]


def _weights(company: Company, month: np.ndarray) -> np.ndarray:
    weights = np.tile([cause.weight * company.cause_strength for cause in CAUSES], (len(month), 1))
    direction = {"adoption": -1, "relationship": 1, "support": 1}
    turned = np.array([direction.get(cause.family, 0) for cause in CAUSES])
    for shift in _of(company, "relation"):
        weights[month >= shift.month] *= np.maximum(1 + turned * shift.strength, 0)
    return weights.astype(np.float32)


def _swing(company: Company, month: np.ndarray) -> np.ndarray:
    swings = (
        shift.strength * np.sin(2 * np.pi * (month - shift.month) / 12) * (month >= shift.month)
        for shift in _of(company, "season")
    )
    return sum(swings, np.zeros_like(month))


def _price_pain(shift: Shift, month: np.ndarray) -> np.ndarray:
    return PRICE_PAIN * shift.strength * ((month >= shift.month) & (month < shift.month + 12))


def _usage_level(company: Company, month: np.ndarray) -> np.ndarray:
    level = np.exp(-0.5 * _swing(company, month))
    for shift in _of(company, "covariate"):
        level = level * np.where(month >= shift.month, 1 + shift.strength, 1.0)
    return level


def _price_level(company: Company, month: np.ndarray) -> np.ndarray:
    level = np.ones(len(month))
    for shift in _of(company, "price"):
        level = level * np.where(month >= shift.month, 1 + shift.strength, 1.0)
    return level
