"""The paper trail of the contract: accounts, what each has bought, its subscriptions and its notices."""

from dataclasses import dataclass

import numpy as np

from features.simulator.model.calendar import WEEKS_A_MONTH, first_days
from features.simulator.model.churn_causes import PARTS
from features.simulator.model.population import (
    CHANNELS,
    COUNTRIES,
    INDUSTRIES,
    OLDEST_MONTHS,
    PLANS,
    SEAT_PRICE,
    SEGMENTS,
    Population,
    account_ids,
)
from features.simulator.model.trajectories import NEVER, Life, absences, course, pressures
from features.simulator.tables.table_builder import Columns, Text, identifiers, text

RAISES, CUTS = (0.015, 0.20), (0.008, 0.10)  # how often seats change at an ordinary anchor day, and at a long renewal
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
class Terms:
    """What each account has bought in each month from its anchor day on; row 0 is before the first month."""

    begins: np.ndarray  # whether a stretch of unchanged terms begins on the anchor day, (months, accounts)
    seats: np.ndarray  # (months + 1, accounts)
    discount: np.ndarray
    mrr: np.ndarray


def terms_of(life: Life, generator: np.random.Generator) -> Terms:
    """Let renewals, upsells, downsells, discounts and price rises change what each account pays."""
    world, population = life.setting.world, life.setting.population
    month = np.arange(world.company.months)[:, None]
    age = month - population.start_month
    runs = (age > 0) & (world.months[month] + population.anchor - 1 < life.fate.leaves_day)
    renewed = runs & (age % population.term == 0)
    seats = _seats(life, runs=runs, long_renewal=renewed & (population.term > 1), generator=generator)
    discount = _discounts(population, renewed & (population.term > 1), generator=generator)
    mrr = seats * SEAT_PRICE[population.segment] * _price_level(life) * (1 - discount)
    return Terms(renewed | (np.diff(seats, axis=0) != 0) | (age == 0), seats, discount, mrr.round(2))


def accounts(population: Population, generator: np.random.Generator) -> Columns:
    """The accounts table."""
    size = len(population.number)
    ids = account_ids(population)
    employees = population.seats * np.exp(generator.normal(1.5, 0.7, size))
    return {
        "account_id": text(ids),
        "name": text(np.char.add("Company ", population.number.astype(str))),
        "segment": Text(population.segment, np.array(SEGMENTS)),
        "industry": Text(population.industry, np.array(INDUSTRIES)),
        "country": Text(population.country, np.array(COUNTRIES)),
        "employees": np.maximum(employees.round(), population.seats),
        "created_at": population.start_day + population.hour,
        "parent_id": Text(_parents(population, generator), ids),
        "owner": Text(generator.integers(0, 12, size), np.char.add("csm-", np.arange(1, 13).astype(str))),
        "channel": Text(population.channel, np.array(CHANNELS)),
    }


def subscriptions(life: Life, terms: Terms) -> Columns:
    """One row per stretch of unchanged terms; a start, a renewal, a change and a return each begin one."""
    world, population = life.setting.world, life.setting.population
    account, at, month, begins = _events(life, terms)
    followed = np.append(account[1:] == account[:-1], False)
    ended = np.where(followed, np.append(at[1:], np.nan), np.nan)[begins]
    account, at, month = account[begins], at[begins], month[begins]
    term = population.term[account]
    next_renewal = month + term - (month - population.start_month[account]) % term
    row = np.maximum(month + 1, 0)
    return {
        "account_id": Text(account, account_ids(population)),
        "subscription_id": identifiers("S", account),
        "plan": Text(population.segment[account], np.array(PLANS)),
        "seats": terms.seats[row, account],
        "mrr": terms.mrr[row, account],
        "started_at": at,
        "ended_at": ended,
        "term_months": term,
        "renews_at": first_days(world, next_renewal) + population.anchor[account] - 1 + population.hour[account],
        "auto_renew": population.auto_renew[account],
        "discount": terms.discount[row, account],
    }


def notices(life: Life, generator: np.random.Generator) -> Columns:
    """Announced leavings one month ahead, half of the others on the day they end, and every failed card that cut."""
    fate, population = life.fate, life.setting.population
    ahead = fate.leaves_day > fate.decided_day
    told = ahead | fate.failed_card | (generator.random(len(ahead)) < 0.5)
    leaver = np.flatnonzero((fate.decided_day < NEVER) & told)
    cut_account, cut_day = absences(life)
    account = np.append(leaver, cut_account)
    day = np.append(fate.decided_day[leaver], cut_day)
    failed = np.append(fate.failed_card[leaver], np.ones(len(cut_day), dtype=bool))
    reason = np.where(failed, len(REASONS), _reason_given(life, account, day=day, generator=generator))
    return {
        "account_id": Text(account, account_ids(population)),
        "notified_at": day + population.hour[account],
        "effective_at": np.append(fate.leaves_day[leaver], cut_day) + population.hour[account],
        "reason": Text(reason, np.array([*REASONS.values(), "payment failed"])),
        "voluntary": ~failed,
    }


def _seats(life: Life, *, runs: np.ndarray, long_renewal: np.ndarray, generator: np.random.Generator) -> np.ndarray:
    """Use above the usual leads to more seats, decay and missing value to fewer."""
    swing = course(life, "intensity")[:-1:WEEKS_A_MONTH]
    strain = (pressures(life, "adoption_decay") + pressures(life, "value_gap"))[::WEEKS_A_MONTH]
    draw, size = generator.random((2, *runs.shape))
    more = runs & (draw < np.where(long_renewal, RAISES[1], RAISES[0]) * np.exp(0.4 * swing))
    fewer = runs & ~more & (1 - draw < np.where(long_renewal, CUTS[1], CUTS[0]) * (1 + strain))
    factor = np.cumprod(np.exp((more * 1.0 - fewer) * (0.05 + 0.3 * size)), axis=0)
    first = life.setting.population.seats
    return np.vstack([first, np.maximum(np.round(first * factor), 1)])


def _discounts(population: Population, long_renewal: np.ndarray, *, generator: np.random.Generator) -> np.ndarray:
    bumps = long_renewal * generator.choice([-0.05, 0.0, 0.05], long_renewal.shape, p=(0.1, 0.7, 0.2))
    discount = np.vstack([population.discount, population.discount + np.cumsum(bumps, axis=0)])
    return np.clip(discount, 0, 0.6).round(2)


def _price_level(life: Life) -> np.ndarray:
    """A price rise reaches an account with its next term, (months + 1, accounts)."""
    world, population = life.setting.world, life.setting.population
    month = np.arange(-1, world.company.months)[:, None]
    last_renewal = month - (month - population.start_month) % population.term
    return np.where(last_renewal < 0, 1.0, world.price_level[np.maximum(last_renewal, 0)])


def _parents(population: Population, generator: np.random.Generator) -> np.ndarray:
    """A tenth of the enterprise accounts belong to another one, -1 for the others."""
    size = len(population.number)
    enterprise = np.flatnonzero(population.segment == SEGMENTS.index("enterprise"))
    if len(enterprise) < 2:
        return np.full(size, -1)
    parent = generator.choice(enterprise, size)
    owned = (population.segment == SEGMENTS.index("enterprise")) & (generator.random(size) < 0.1)
    return np.where(owned & (parent != np.arange(size)), parent, -1)


def _events(life: Life, terms: Terms) -> tuple[np.ndarray, ...]:
    """Every instant at which a stretch begins or only ends, in order: (account, at, month of its terms, begins)."""
    population, leaves_day = life.setting.population, life.fate.leaves_day
    anchor_account, anchor_month = _anchored(life, terms)
    anchor_day = first_days(life.setting.world, anchor_month) + population.anchor[anchor_account] - 1
    cut, cut_day = absences(life)
    back_day = cut_day + population.absence[cut]
    leaver = np.flatnonzero(leaves_day < NEVER)
    account = np.concatenate([anchor_account, cut, cut, leaver])
    day = np.concatenate([anchor_day, back_day, cut_day, leaves_day[leaver]])
    back_month = _month_of(life, cut, day=back_day)
    month = np.concatenate([anchor_month, back_month, np.zeros(len(cut) + len(leaver), dtype=int)])
    begins = np.arange(len(account)) < len(anchor_account) + len(cut)
    order = np.lexsort((day, account))
    return account[order], (day + population.hour[account])[order], month[order], begins[order]


def _anchored(life: Life, terms: Terms) -> tuple[np.ndarray, np.ndarray]:
    """Starts, renewals and changes, those before the company is watched too: (account, month)."""
    age = np.arange(-OLDEST_MONTHS, 0)[:, None] - life.setting.population.start_month
    before = (age >= 0) & (age % life.setting.population.term == 0)
    month, account = np.nonzero(np.vstack([before, terms.begins]))
    return account, month - OLDEST_MONTHS


def _month_of(life: Life, account: np.ndarray, *, day: np.ndarray) -> np.ndarray:
    """The month whose anchor day was the last before a day."""
    months = life.setting.world.months
    month = np.searchsorted(months, day, side="right") - 1
    return month - (months[month] + life.setting.population.anchor[account] - 1 > day)


def _reason_given(life: Life, account: np.ndarray, *, day: np.ndarray, generator: np.random.Generator) -> np.ndarray:
    """The heaviest cause, but only sometimes: people are polite."""
    week = np.searchsorted(life.setting.world.starts, day, side="right") - 1
    parts = life.parts[week, :, account][:, [PARTS.index(part) for part in REASONS]]
    return (parts + generator.gumbel(0.0, 0.7, parts.shape)).argmax(axis=1)
