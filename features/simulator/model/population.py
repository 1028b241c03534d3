"""Draws the accounts of a simulated company: visible traits, hidden traits and the first contract."""

import dataclasses
from dataclasses import dataclass
from typing import Any, TypeVar, cast

import numpy as np

from features.simulator.model.calendar import WEEKS_PER_MONTH, World, month_start_days
from features.simulator.model.churn_causes import CAUSE_INDEX, cause_column

SEGMENTS = ("small", "mid", "enterprise")
INDUSTRIES = ("software", "retail", "health", "finance", "manufacturing", "education", "logistics")
CHANNELS = ("inbound", "outbound", "partner", "referral")
COUNTRIES = ("US", "GB", "DE", "FR", "NL", "SE", "CA", "AU")
PLANS = ("starter", "team", "business")
# Referrals know what they buy; cold outreach sells to anyone who answers.
FIT_BY_CHANNEL = np.array([0.1, -0.4, 0.0, 0.5])
SEGMENT_SHARES = (0.60, 0.30, 0.10)
MONTHLY_TERM_SHARES = np.array([0.70, 0.40, 0.05])  # by segment: procurement departments sign annual terms
SEAT_RANGES = np.array([[3, 10], [10, 60], [60, 400]])  # by segment, log-uniform between
SEAT_PRICE = np.array([40.0, 55.0, 70.0])  # list price per seat and month
MAX_AGE_MONTHS = 48

Arrays = TypeVar("Arrays")


@dataclass(frozen=True)
class Population:
    """Traits of each account that never change. The last axis of every array runs over accounts."""

    account_number: np.ndarray  # within the company
    segment: np.ndarray
    industry: np.ndarray
    channel: np.ndarray
    country: np.ndarray
    fit: np.ndarray  # hidden, standard normal about its channel's mean
    demanding: np.ndarray  # hidden: writes many tickets and stays
    quiet: np.ndarray  # hidden: rarely in contact and leaves more often
    announces: np.ndarray  # hidden: would give notice
    term: np.ndarray  # months
    auto_renew: np.ndarray
    anchor_day: np.ndarray  # day of the month of every contract event, 1 to 28
    time_of_day: np.ndarray  # of every contract event, as a share of the day
    start_month: np.ndarray  # negative for founding accounts, which began before the simulation
    start_day: np.ndarray
    seats: np.ndarray  # at the start
    discount: np.ndarray
    usage_effect: np.ndarray  # hidden: random effect on usage, in logits
    stall_severity: np.ndarray  # hidden: of the stalled implementation; 0 for most accounts
    absence_days: np.ndarray  # hidden: days without service if a failed card stops it and the account returns
    onset_rates: np.ndarray  # weekly rate at which each cause begins, (causes, accounts)

    def __len__(self) -> int:
        return len(self.account_number)


@dataclass(frozen=True)
class Scenario:
    """The world and the accounts that are simulated in it."""

    world: World
    population: Population


def take_accounts(arrays: Arrays, rows: np.ndarray) -> Arrays:
    """The same dataclass of arrays with only these accounts; an index may repeat."""
    fields = dataclasses.fields(cast(Any, arrays))
    return type(arrays)(**{field.name: getattr(arrays, field.name)[..., rows] for field in fields})


def account_ids(population: Population) -> np.ndarray:
    """The account ids as text."""
    return np.char.add("A", np.char.zfill(population.account_number.astype(str), 7))


def start_week(population: Population) -> np.ndarray:
    """The week in which each account begins; negative for founding accounts."""
    return population.start_month * WEEKS_PER_MONTH + (population.anchor_day - 1) // 7


def draw_population(world: World, numbers: np.ndarray, *, generator: np.random.Generator) -> Population:
    """Draw the traits of the accounts with these numbers."""
    size = len(numbers)
    segment = generator.choice(len(SEGMENTS), size, p=SEGMENT_SHARES)
    channel = generator.choice(len(CHANNELS), size, p=(0.35, 0.30, 0.15, 0.20))
    fit = FIT_BY_CHANNEL[channel] + generator.normal(size=size)
    quiet = generator.random(size) < 0.15
    anchor_day = generator.integers(1, 29, size)
    start_month = _draw_start_months(world, size, generator=generator)
    term = _draw_terms(segment, generator)
    low, high = np.log(SEAT_RANGES[segment]).T
    return Population(
        account_number=numbers,
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
        anchor_day=anchor_day,
        time_of_day=generator.integers(7, 18, size) / 24,
        start_month=start_month,
        start_day=month_start_days(world, start_month) + anchor_day - 1,
        seats=np.round(np.exp(generator.uniform(low, high))),
        discount=np.where(term == 1, 0.0, np.round(generator.beta(1.5, 8.0, size), 2)),
        usage_effect=generator.normal(0.0, 0.5, size),
        stall_severity=_draw_stall_severity(fit, generator),
        absence_days=generator.integers(1, 7, size),
        onset_rates=_onset_rates(fit, quiet),
    )


def _draw_start_months(world: World, size: int, *, generator: np.random.Generator) -> np.ndarray:
    founding = generator.random(size) < world.company.founding_share
    earlier = generator.integers(-MAX_AGE_MONTHS, 0, size)
    return np.where(founding, earlier, generator.integers(0, world.company.months, size))


def _draw_terms(segment: np.ndarray, generator: np.random.Generator) -> np.ndarray:
    monthly = generator.random(len(segment)) < MONTHLY_TERM_SHARES[segment]
    two_years = (segment == 2) & (generator.random(len(segment)) < 0.2)
    return np.where(monthly, 1, np.where(two_years, 24, 12))


def _draw_stall_severity(fit: np.ndarray, generator: np.random.Generator) -> np.ndarray:
    stalled = generator.random(len(fit)) < 0.22 * np.exp(-0.3 * fit)
    return np.where(stalled, generator.uniform(0.5, 1.5, len(fit)), 0.0).astype(np.float32)


def _onset_rates(fit: np.ndarray, quiet: np.ndarray) -> np.ndarray:
    """A poor fit decays and misses its value sooner; a quiet account is neglected sooner."""
    onset_rates = np.tile(cause_column("onset"), (1, len(fit)))
    for name in ("adoption_decay", "value_gap"):
        onset_rates[CAUSE_INDEX[name]] *= np.exp(-0.3 * fit)
    onset_rates[CAUSE_INDEX["neglect"]] *= np.where(quiet, 2.0, 1.0)
    return onset_rates
