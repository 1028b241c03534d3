"""The accounts, subscriptions and notices tables, and the contract terms behind them."""

from dataclasses import dataclass

import numpy as np

from features.simulator.model.calendar import WEEKS_PER_MONTH, month_start_days
from features.simulator.model.churn_causes import PARTS
from features.simulator.model.population import (
    CHANNELS,
    COUNTRIES,
    INDUSTRIES,
    MAX_AGE_MONTHS,
    PLANS,
    SEAT_PRICE,
    SEGMENTS,
    Population,
    account_ids,
)
from features.simulator.model.trajectories import (
    NEVER,
    Trajectories,
    temporary_cutoffs,
)
from features.simulator.tables.company_names import OWNERS, company_names
from features.simulator.tables.table_builder import TableColumns, TextColumn, row_ids, text_column

# How often seats change on an ordinary anchor day and at a renewal of a long term.
UPSELL_RATES, DOWNSELL_RATES = (0.015, 0.20), (0.008, 0.10)
REASONS = {
    "adoption": "not used enough",
    "value": "no clear value",
    "support": "poor support",
    "relationship": "sponsor left",
    "billing": "cost",
    "onboarding": "never went live",
    "engagement": "felt alone",
    "fit": "wrong product",
    "unseen": "strategy",
}


@dataclass(frozen=True)
class ContractTerms:
    """What each account has bought from its anchor day of each month on; row 0 is before the first month."""

    begins: np.ndarray  # a subscription row begins on the anchor day, (months, accounts)
    seats: np.ndarray  # (months + 1, accounts)
    discount: np.ndarray
    mrr: np.ndarray


def contract_terms(trajectories: Trajectories, generator: np.random.Generator) -> ContractTerms:
    """Apply renewals, upsells, downsells, discounts and price rises to what each account pays."""
    world, population = trajectories.world, trajectories.population
    month = np.arange(world.company.months)[:, None]
    age = month - population.start_month
    runs = (age > 0) & (world.month_starts[month] + population.anchor_day - 1 < trajectories.outcomes.leaves_day)
    renewed = runs & (age % population.term == 0)
    seats = _seats(trajectories, runs=runs, long_renewal=renewed & (population.term > 1), generator=generator)
    discount = _discounts(population, renewed & (population.term > 1), generator=generator)
    mrr = seats * SEAT_PRICE[population.segment] * _price_levels(trajectories) * (1 - discount)
    return ContractTerms(renewed | (np.diff(seats, axis=0) != 0) | (age == 0), seats, discount, mrr.round(2))


def accounts(population: Population, generator: np.random.Generator) -> TableColumns:
    """The accounts table."""
    size = len(population)
    ids = account_ids(population)
    employees = population.seats * np.exp(generator.normal(1.5, 0.7, size))
    return {
        "account_id": text_column(ids),
        "name": text_column(company_names(population.account_number)),
        "segment": TextColumn(population.segment, np.array(SEGMENTS)),
        "industry": TextColumn(population.industry, np.array(INDUSTRIES)),
        "country": TextColumn(population.country, np.array(COUNTRIES)),
        "employees": np.maximum(employees.round(), population.seats),
        "created_at": population.start_day + population.time_of_day,
        "parent_id": TextColumn(_draw_parents(population, generator), ids),
        "owner": TextColumn(generator.integers(0, len(OWNERS), size), OWNERS),
        "channel": TextColumn(population.channel, np.array(CHANNELS)),
    }


def subscriptions(trajectories: Trajectories, terms: ContractTerms) -> TableColumns:
    """One row per period of unchanged terms: a start, a renewal, a change and a return each begin a row."""
    world, population = trajectories.world, trajectories.population
    account, at, month, begins = _subscription_events(trajectories, terms)
    has_successor = np.append(account[1:] == account[:-1], False)
    ended = np.where(has_successor, np.append(at[1:], np.nan), np.nan)[begins]
    account, at, month = account[begins], at[begins], month[begins]
    term = population.term[account]
    next_renewal = month + term - (month - population.start_month[account]) % term
    renewal_day = month_start_days(world, next_renewal) + population.anchor_day[account] - 1
    row = np.maximum(month + 1, 0)
    return {
        "account_id": TextColumn(account, account_ids(population)),
        "subscription_id": row_ids("S", account),
        "plan": TextColumn(population.segment[account], np.array(PLANS)),
        "seats": terms.seats[row, account],
        "mrr": terms.mrr[row, account],
        "started_at": at,
        "ended_at": ended,
        "term_months": term,
        "renews_at": renewal_day + population.time_of_day[account],
        "auto_renew": population.auto_renew[account],
        "discount": terms.discount[row, account],
    }


def notices(trajectories: Trajectories, generator: np.random.Generator) -> TableColumns:
    """Announced departures a month ahead, half of the others on their last day, and every cutoff by a failed card."""
    outcomes, population = trajectories.outcomes, trajectories.population
    is_announced = outcomes.leaves_day > outcomes.decided_day
    is_notified = is_announced | outcomes.failed_card | (generator.random(len(is_announced)) < 0.5)
    leaving = np.flatnonzero((outcomes.decided_day < NEVER) & is_notified)
    cut_account, cut_day = temporary_cutoffs(trajectories)
    account = np.append(leaving, cut_account)
    day = np.append(outcomes.decided_day[leaving], cut_day)
    failed = np.append(outcomes.failed_card[leaving], np.ones(len(cut_day), dtype=bool))
    reason = np.where(failed, len(REASONS), _draw_reasons(trajectories, account, day=day, generator=generator))
    return {
        "account_id": TextColumn(account, account_ids(population)),
        "notified_at": day + population.time_of_day[account],
        "effective_at": np.append(outcomes.leaves_day[leaving], cut_day) + population.time_of_day[account],
        "reason": TextColumn(reason, np.array([*REASONS.values(), "payment failed"])),
        "voluntary": ~failed,
    }


def _seats(
    trajectories: Trajectories, *, runs: np.ndarray, long_renewal: np.ndarray, generator: np.random.Generator
) -> np.ndarray:
    """Usage above the usual leads to more seats; decay and missing value to fewer."""
    swing = trajectories.state("intensity")[:-1:WEEKS_PER_MONTH]
    strain = (trajectories.pressure("adoption_decay") + trajectories.pressure("value_gap"))[::WEEKS_PER_MONTH]
    draw, size = generator.random((2, *runs.shape))
    upsell_rate, downsell_rate = np.take(UPSELL_RATES, long_renewal * 1), np.take(DOWNSELL_RATES, long_renewal * 1)
    more = runs & (draw < upsell_rate * np.exp(0.4 * swing))
    fewer = runs & ~more & (1 - draw < downsell_rate * (1 + strain))
    factor = np.cumprod(np.exp((more * 1.0 - fewer) * (0.05 + 0.3 * size)), axis=0)
    first = trajectories.population.seats
    return np.vstack([first, np.maximum(np.round(first * factor), 1)])


def _discounts(population: Population, long_renewal: np.ndarray, *, generator: np.random.Generator) -> np.ndarray:
    bumps = long_renewal * generator.choice([-0.05, 0.0, 0.05], long_renewal.shape, p=(0.1, 0.7, 0.2))
    discount = np.vstack([population.discount, population.discount + np.cumsum(bumps, axis=0)])
    return np.clip(discount, 0, 0.6).round(2)


def _price_levels(trajectories: Trajectories) -> np.ndarray:
    """The price level of each account, which changes only with a new term, (months + 1, accounts)."""
    world, population = trajectories.world, trajectories.population
    month = np.arange(-1, world.company.months)[:, None]
    last_renewal = month - (month - population.start_month) % population.term
    return np.where(last_renewal < 0, 1.0, world.price_level[np.maximum(last_renewal, 0)])


def _draw_parents(population: Population, generator: np.random.Generator) -> np.ndarray:
    """The parent of each account: another enterprise account for a tenth of them, -1 for the others."""
    size = len(population)
    enterprise = np.flatnonzero(population.segment == SEGMENTS.index("enterprise"))
    if len(enterprise) < 2:
        return np.full(size, -1)
    parent = generator.choice(enterprise, size)
    owned = (population.segment == SEGMENTS.index("enterprise")) & (generator.random(size) < 0.1)
    return np.where(owned & (parent != np.arange(size)), parent, -1)


def _subscription_events(trajectories: Trajectories, terms: ContractTerms) -> tuple[np.ndarray, ...]:
    """Every instant at which a row begins or only ends, in order: (account, at, month of its terms, begins)."""
    population, leaves_day = trajectories.population, trajectories.outcomes.leaves_day
    anchor_account, anchor_month = _anchor_months(trajectories, terms)
    anchor_day = month_start_days(trajectories.world, anchor_month) + population.anchor_day[anchor_account] - 1
    cut, cut_day = temporary_cutoffs(trajectories)
    back_day = cut_day + population.absence_days[cut]
    leaving = np.flatnonzero(leaves_day < NEVER)
    account = np.concatenate([anchor_account, cut, cut, leaving])
    day = np.concatenate([anchor_day, back_day, cut_day, leaves_day[leaving]])
    back_month = _month_of_day(trajectories, cut, day=back_day)
    month = np.concatenate([anchor_month, back_month, np.zeros(len(cut) + len(leaving), dtype=int)])
    begins = np.arange(len(account)) < len(anchor_account) + len(cut)
    order = np.lexsort((day, account))
    return account[order], (day + population.time_of_day[account])[order], month[order], begins[order]


def _anchor_months(trajectories: Trajectories, terms: ContractTerms) -> tuple[np.ndarray, np.ndarray]:
    """Starts, renewals and changes, including those before the simulation: (account, month)."""
    age = np.arange(-MAX_AGE_MONTHS, 0)[:, None] - trajectories.population.start_month
    before = (age >= 0) & (age % trajectories.population.term == 0)
    month, account = np.nonzero(np.vstack([before, terms.begins]))
    return account, month - MAX_AGE_MONTHS


def _month_of_day(trajectories: Trajectories, account: np.ndarray, *, day: np.ndarray) -> np.ndarray:
    """The month whose anchor day is the last one up to a day."""
    months = trajectories.world.month_starts
    month = np.searchsorted(months, day, side="right") - 1
    return month - (months[month] + trajectories.population.anchor_day[account] - 1 > day)


def _draw_reasons(
    trajectories: Trajectories, account: np.ndarray, *, day: np.ndarray, generator: np.random.Generator
) -> np.ndarray:
    """The heaviest cause plus noise, because accounts do not always give the true reason."""
    week = np.searchsorted(trajectories.world.week_starts, day, side="right") - 1
    parts = trajectories.logit_parts[week, :, account][:, [PARTS.index(part) for part in REASONS]]
    return (parts + generator.gumbel(0.0, 0.7, parts.shape)).argmax(axis=1)
