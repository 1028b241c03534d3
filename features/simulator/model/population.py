"""Who the accounts are: what anyone can see of them, what nobody can, and the contract each began with."""

import dataclasses
from dataclasses import dataclass
from typing import Any, TypeVar, cast

import numpy as np

from features.simulator.model.calendar import WEEKS_A_MONTH, World, first_days
from features.simulator.model.churn_causes import CAUSE, column_of

SEGMENTS = ("small", "mid", "enterprise")
INDUSTRIES = ("software", "retail", "health", "finance", "manufacturing", "education", "logistics")
CHANNELS = ("inbound", "outbound", "partner", "referral")
COUNTRIES = ("US", "GB", "DE", "FR", "NL", "SE", "CA", "AU")
PLANS = ("starter", "team", "business")
# A referral knows what it buys; cold outreach sells to whoever answers.
FIT_BY_CHANNEL = np.array([0.1, -0.4, 0.0, 0.5])
SEGMENT_SHARES = (0.60, 0.30, 0.10)
MONTHLY_SHARES = np.array([0.70, 0.40, 0.05])  # by segment: procurement departments sign for a year
SEATS = np.array([[3, 10], [10, 60], [60, 400]])  # by segment, log-uniform between
SEAT_PRICE = np.array([40.0, 55.0, 70.0])  # list price per seat and month
OLDEST_MONTHS = 48

Values = TypeVar("Values")


@dataclass(frozen=True)
class Population:
    """Traits of each account that never change; the last axis of every array runs over accounts."""

    number: np.ndarray  # of the account in the whole company
    segment: np.ndarray
    industry: np.ndarray
    channel: np.ndarray
    country: np.ndarray
    fit: np.ndarray  # hidden, standard normal about its channel's mean
    demanding: np.ndarray  # hidden: writes many tickets, and stays
    quiet: np.ndarray  # hidden: is seldom heard, and leaves more often
    announces: np.ndarray  # hidden: would give notice
    term: np.ndarray  # months
    auto_renew: np.ndarray
    anchor: np.ndarray  # day of the month of every contract event, 1 to 28
    hour: np.ndarray  # time of day of every contract event, as a share of the day
    start_month: np.ndarray  # may be negative: the founding stock began before the company is watched
    start_day: np.ndarray
    seats: np.ndarray  # at the start
    discount: np.ndarray
    taste: np.ndarray  # hidden: log of how much it uses for its size
    stalls: np.ndarray  # hidden: severity with which its implementation will stall; 0 for most
    absence: np.ndarray  # hidden: days without service, should a failed card cut it and the account return
    onsets: np.ndarray  # weekly rate at which each cause begins, (causes, accounts)


@dataclass(frozen=True)
class Setting:
    """Where it happens, and to whom."""

    world: World
    population: Population


def rows_of(values: Values, rows: np.ndarray) -> Values:
    """The same dataclass of arrays with only these accounts, repeated as often as they are named."""
    arrays = {field.name: getattr(values, field.name)[..., rows] for field in dataclasses.fields(cast(Any, values))}
    return type(values)(**arrays)


def account_ids(population: Population) -> np.ndarray:
    """The account ids as text."""
    return np.char.add("A", np.char.zfill(population.number.astype(str), 7))


def start_week(population: Population) -> np.ndarray:
    """The week each account begins in; negative for the founding stock."""
    return population.start_month * WEEKS_A_MONTH + (population.anchor - 1) // 7


def settle(world: World, numbers: np.ndarray, *, generator: np.random.Generator) -> Population:
    """Draw the accounts with these numbers."""
    size = len(numbers)
    segment = generator.choice(len(SEGMENTS), size, p=SEGMENT_SHARES)
    channel = generator.choice(len(CHANNELS), size, p=(0.35, 0.30, 0.15, 0.20))
    fit = FIT_BY_CHANNEL[channel] + generator.normal(size=size)
    quiet = generator.random(size) < 0.15
    anchor = generator.integers(1, 29, size)
    start_month = _start_months(world, size, generator=generator)
    term = _terms(segment, generator)
    low, high = np.log(SEATS[segment]).T
    return Population(
        number=numbers,
        segment=segment,
        industry=generator.integers(0, len(INDUSTRIES), size),
        channel=channel,
        country=generator.choice(len(COUNTRIES), size, p=(0.4, 0.15, 0.12, 0.08, 0.07, 0.06, 0.07, 0.05)),
        fit=fit.astype(np.float32),
        demanding=~quiet & (generator.random(size) < 0.15),
        quiet=quiet,
        announces=generator.random(size) < world.company.announcing_share,
        term=term,
        auto_renew=generator.random(size) < np.where(term == 1, 0.95, 0.65),
        anchor=anchor,
        hour=generator.integers(7, 18, size) / 24,
        start_month=start_month,
        start_day=first_days(world, start_month) + anchor - 1,
        seats=np.round(np.exp(generator.uniform(low, high))),
        discount=np.where(term == 1, 0.0, np.round(generator.beta(1.5, 8.0, size), 2)),
        taste=generator.normal(0.0, 0.5, size),
        stalls=_stalls(fit, generator),
        absence=generator.integers(1, 7, size),
        onsets=_onsets(fit, quiet),
    )


def _start_months(world: World, size: int, *, generator: np.random.Generator) -> np.ndarray:
    founding = generator.random(size) < world.company.founding_share
    earlier = generator.integers(-OLDEST_MONTHS, 0, size)
    return np.where(founding, earlier, generator.integers(0, world.company.months, size))


def _terms(segment: np.ndarray, generator: np.random.Generator) -> np.ndarray:
    monthly = generator.random(len(segment)) < MONTHLY_SHARES[segment]
    two_years = (segment == 2) & (generator.random(len(segment)) < 0.2)
    return np.where(monthly, 1, np.where(two_years, 24, 12))


def _stalls(fit: np.ndarray, generator: np.random.Generator) -> np.ndarray:
    stalled = generator.random(len(fit)) < 0.22 * np.exp(-0.3 * fit)
    return np.where(stalled, generator.uniform(0.5, 1.5, len(fit)), 0.0).astype(np.float32)


def _onsets(fit: np.ndarray, quiet: np.ndarray) -> np.ndarray:
    """A poor fit decays and misses its value sooner; a quiet account is sooner forgotten."""
    onsets = np.tile(column_of("onset"), (1, len(fit)))
    for name in ("adoption_decay", "value_gap"):
        onsets[CAUSE[name]] *= np.exp(-0.3 * fit)
    onsets[CAUSE["neglect"]] *= np.where(quiet, 2.0, 1.0)
    return onsets
