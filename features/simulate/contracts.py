"""The paper trail: accounts, their subscriptions and what they pay, their notices."""

from dataclasses import dataclass

import numpy as np

from features.simulate.causes import CAUSE, PARTS
from features.simulate.life import NEVER, Life, absent_from, pressures
from features.simulate.population import (
    CHANNELS, COUNTRIES, INDUSTRIES, PLANS, SEAT_PRICE, SEGMENTS, Population, account_ids,
)  # fmt: skip
from features.simulate.rows import Columns, Text, identifiers, recorded, text
from features.simulate.state import WEEKS_TO_CUT
from features.simulate.world import WEEKS_A_MONTH, World, first_days

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

    renewed: np.ndarray  # whether a new term began, (months, accounts)
    changed: np.ndarray  # whether seats changed
    seats: np.ndarray  # (months + 1, accounts)
    discount: np.ndarray
    mrr: np.ndarray


def terms_of(world: World, population: Population, life: Life, generator: np.random.Generator) -> Terms:
    """Let renewals, upsells, downsells, discounts and price rises change what each account pays."""
    month = np.arange(world.company.months)[:, None]
    age = month - population.start_month
    runs = (age > 0) & (world.months[month] + population.anchor - 1 < life.fate.leaves_day)
    renewed = runs & (age % population.term == 0)
    long_renewal = renewed & (population.term > 1)
    seats, changed = _seats(population, life, runs=runs, long_renewal=long_renewal, generator=generator)
    bumps = long_renewal * generator.choice([-0.05, 0.0, 0.05], long_renewal.shape, p=(0.1, 0.7, 0.2))
    discount = np.clip(np.vstack([population.discount, population.discount + np.cumsum(bumps, axis=0)]), 0, 0.6)
    price = SEAT_PRICE[population.segment] * _price_level(world, population)
    return Terms(renewed, changed, seats, discount.round(2), (seats * price * (1 - discount.round(2))).round(2))


def accounts(population: Population, generator: np.random.Generator) -> Columns:
    """The accounts table."""
    size = len(population.number)
    employees = population.seats * np.exp(generator.normal(1.5, 0.7, size))
    enterprise = np.flatnonzero(population.segment == 2)
    owned = (population.segment == 2) & (generator.random(size) < 0.1) & (len(enterprise) > 0)
    parent = generator.choice(enterprise, size) if len(enterprise) else np.zeros(size, dtype=int)
    ids = account_ids(population)
    return {
        "account_id": text(ids),
        "name": text(np.char.add("Company ", population.number.astype(str))),
        "segment": Text(population.segment, np.array(SEGMENTS)),
        "industry": Text(population.industry, np.array(INDUSTRIES)),
        "country": Text(population.country, np.array(COUNTRIES)),
        "employees": np.maximum(employees.round(), population.seats),
        "created_at": population.start_day + population.hour,
        "parent_id": Text(np.where(owned & (parent != np.arange(size)), parent, -1), ids),
        "owner": Text(generator.integers(0, 12, size), np.char.add("csm-", np.arange(1, 13).astype(str))),
        "channel": Text(population.channel, np.array(CHANNELS)),
    }


def subscriptions(world: World, population: Population, life: Life, terms: Terms) -> Columns:
    """One row per stretch of unchanged terms; a renewal, a change and a return each begin one."""
    account, at, month, begins = _events(world, population, life, terms)
    same = np.append(account[1:] == account[:-1], False)
    ended = np.where(same, np.append(at[1:], np.nan), np.nan)
    account, at, month, ended = account[begins], at[begins], month[begins], ended[begins]
    term = population.term[account]
    next_renewal = month + term - (month - population.start_month[account]) % term
    row = np.maximum(month, -1) + 1
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


def invoices(world: World, population: Population, life: Life, *, terms: Terms, generator: np.random.Generator) -> Columns:
    """A card is charged on each monthly renewal; longer terms are invoiced by the quarter and pay when they pay."""
    period = np.where(population.term == 1, 1, 3)
    age = np.arange(world.company.months)[:, None] - population.start_month
    issue_day = world.months[: world.company.months, None] + population.anchor - 1
    month, account = np.nonzero((age >= 0) & (age % period == 0) & (issue_day < life.fate.leaves_day))
    issued = issue_day[month, account] + population.hour[account]
    card = population.term[account] == 1
    paid = np.where(
        card,
        _card_paid(world, population, life, month=month, account=account),
        _transfer_paid(population, life, month=month, account=account, generator=generator) + issued,
    )
    return {
        "account_id": Text(account, account_ids(population)),
        "invoice_id": identifiers("I", account),
        "issued_at": issued,
        "due_at": issued + np.where(card, 0, 30),
        "paid_at": paid,
        "amount": (terms.mrr[month + 1, account] * period[account]).round(2),
        "recorded_at": recorded(issued, 0.02, generator),
    }


def notices(world: World, population: Population, life: Life, generator: np.random.Generator) -> Columns:
    """Announced leavings one month ahead, half of the others on the day they end, and every failed card that cut."""
    fate = life.fate
    ahead = fate.leaves_day > fate.decided_day
    told = ahead | fate.failed_card | (generator.random(len(ahead)) < 0.5)
    leaver = np.flatnonzero((fate.decided_day < NEVER) & told)
    cut_day, cut_account = absent_from(world, population, life)
    account = np.append(leaver, cut_account)
    day = np.append(fate.decided_day[leaver], cut_day)
    failed = np.append(fate.failed_card[leaver], np.ones(len(cut_day), dtype=bool))
    hour = population.hour[account]
    effective = np.append(fate.leaves_day[leaver], cut_day)
    return {
        "account_id": Text(account, account_ids(population)),
        "notified_at": day + hour,
        "effective_at": effective + hour,
        "reason": _reasons(world, life, day=day, account=account, failed=failed, generator=generator),
        "voluntary": ~failed,
    }


def _price_level(world: World, population: Population) -> np.ndarray:
    """A price rise reaches an account with its next term, (months + 1, accounts)."""
    month = np.arange(-1, world.company.months)[:, None]
    last_renewal = month - (month - population.start_month) % population.term
    return world.price_level[np.maximum(last_renewal, 0)] * (last_renewal >= 0) + 1.0 * (last_renewal < 0)


def _seats(
    population: Population, life: Life, *, runs: np.ndarray, long_renewal: np.ndarray, generator: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Use above the usual leads to more seats, decay and missing value to fewer."""
    weekly = np.stack([state.intensity for state in life.states[:-1:WEEKS_A_MONTH]])
    strain = sum(pressures(life, CAUSE[name])[::WEEKS_A_MONTH] for name in ("adoption_decay", "value_gap"))
    draw, size = generator.random((2, *runs.shape))
    raised = runs & (draw < np.where(long_renewal, RAISES[1], RAISES[0]) * np.exp(0.4 * weekly))
    cut = runs & ~raised & (1 - draw < np.where(long_renewal, CUTS[1], CUTS[0]) * (1 + strain))
    factor = np.exp((raised * 1.0 - cut) * (0.05 + 0.3 * size))
    seats = np.vstack([population.seats, np.maximum(np.round(population.seats * np.cumprod(factor, axis=0)), 1)])
    return seats, np.diff(seats, axis=0) != 0


def _events(world: World, population: Population, life: Life, terms: Terms) -> tuple[np.ndarray, ...]:
    """Every instant at which a stretch begins or only ends, in order: (account, at, month of its terms, begins)."""
    everyone = np.arange(len(population.number))
    start = population.start_month
    last_renewal = -1 - (-1 - start) % population.term
    older = np.flatnonzero((start < 0) & (last_renewal > start))
    month, anchored = np.nonzero(terms.renewed | terms.changed)
    cut_day, cut = absent_from(world, population, life)
    leaver = np.flatnonzero(life.fate.leaves_day < NEVER)
    back_day = cut_day + population.absence[cut]
    account = np.concatenate([everyone, older, anchored, cut, cut, leaver])
    months = np.concatenate([
        start, last_renewal[older], month, _terms_month(world, population, cut_day, cut),
        _terms_month(world, population, back_day, cut), np.zeros(len(leaver), dtype=int),
    ])  # fmt: skip
    at_anchor = first_days(world, months) + population.anchor[account] - 1
    known = len(everyone) + len(older) + len(anchored)
    day = np.concatenate([at_anchor[:known], cut_day, back_day, life.fate.leaves_day[leaver]])
    begins = np.ones(len(account), dtype=bool)
    begins[known : known + len(cut)] = False
    begins[len(account) - len(leaver) :] = False
    order = np.lexsort((day, account))
    return account[order], (day + population.hour[account])[order], months[order], begins[order]


def _terms_month(world: World, population: Population, day: np.ndarray, account: np.ndarray) -> np.ndarray:
    month = np.searchsorted(world.months, day, side="right") - 1
    return month - (world.months[month] + population.anchor[account] - 1 > day)


def _card_paid(
    world: World, population: Population, life: Life, *, month: np.ndarray, account: np.ndarray
) -> np.ndarray:
    """A card pays at once, or in the week it is repaired, or when the account returns, or never."""
    week = month * WEEKS_A_MONTH + (population.anchor[account] - 1) // 7
    paid = world.starts[week] + (population.anchor[account] - 1) % 7 + 0.02
    still = np.ones(len(month), dtype=bool)
    for stage in range(WEEKS_TO_CUT):
        failing = np.stack([state.failing[stage] for state in life.states])
        still &= failing[np.minimum(week + stage + 1, world.weeks), account] > 0
        paid = np.where(still, world.starts[week + stage + 1] + 2.0, paid)
    gone = life.fate.leaves_day[account] <= paid
    back = world.starts[week + WEEKS_TO_CUT] + population.absence[account]
    return np.where(gone, np.nan, np.where(still, back, paid)) + population.hour[account]


def _transfer_paid(
    population: Population, life: Life, *, month: np.ndarray, account: np.ndarray, generator: np.random.Generator
) -> np.ndarray:
    """Days from an invoice to its payment; trouble adds weeks, and who leaves in the meantime may never pay."""
    trouble = pressures(life, CAUSE["payment_trouble"])[month * WEEKS_A_MONTH, account]
    days = np.maximum(generator.normal(24.0, 7.0, len(month)), 1.0) + trouble * generator.exponential(35.0, len(month))
    slow = generator.random(len(month)) < 0.06  # a clerk on holiday: lateness alone is weak evidence
    return days + slow * generator.exponential(20.0, len(month))


def _reasons(
    world: World, life: Life, *, day: np.ndarray, account: np.ndarray, failed: np.ndarray, generator: np.random.Generator
) -> Text:
    """The reason given is the heaviest cause only sometimes; people are polite."""
    names = [part for part in PARTS if part in REASONS]
    week = np.clip(np.searchsorted(world.starts, day, side="right") - 1, 0, world.weeks - 1)
    parts = life.parts[week, :, account][:, [PARTS.index(name) for name in names]]
    said = (parts + generator.gumbel(0.0, 0.7, parts.shape)).argmax(axis=1)
    return Text(np.where(failed, len(names), said), np.array([*(REASONS[name] for name in names), "payment failed"]))
