"""The invoices, which show billing: cards pay at once or fail, longer terms pay when they pay."""

import numpy as np

from features.simulator.model.calendar import WEEKS_A_MONTH
from features.simulator.model.hidden_state import WEEKS_TO_CUT
from features.simulator.model.population import account_ids
from features.simulator.model.trajectories import Life, course, pressures
from features.simulator.tables.subscriptions import Terms
from features.simulator.tables.table_builder import Columns, Text, identifiers, recorded

NET_DAYS = 30
LATE_SHARE = 0.02


def invoices(life: Life, terms: Terms, *, generator: np.random.Generator) -> Columns:
    """A card is charged on each monthly renewal; longer terms are invoiced by the quarter."""
    world, population = life.setting.world, life.setting.population
    period = np.where(population.term == 1, 1, 3)
    age = np.arange(world.company.months)[:, None] - population.start_month
    issue_day = world.months[: world.company.months, None] + population.anchor - 1
    month, account = np.nonzero((age >= 0) & (age % period == 0) & (issue_day < life.fate.leaves_day))
    issued = issue_day[month, account] + population.hour[account]
    card = population.term[account] == 1
    by_transfer = issued + _transfer_days(life, account, month=month, generator=generator)
    return {
        "account_id": Text(account, account_ids(population)),
        "invoice_id": identifiers("I", account),
        "issued_at": issued,
        "due_at": issued + np.where(card, 0, NET_DAYS),
        "paid_at": np.where(card, _card_paid(life, account, month=month), by_transfer),
        "amount": (terms.mrr[month + 1, account] * period[account]).round(2),
        "recorded_at": recorded(issued, LATE_SHARE, generator=generator),
    }


def _card_paid(life: Life, account: np.ndarray, *, month: np.ndarray) -> np.ndarray:
    """A card pays at once, or in the week it is repaired, or when the account returns, or never."""
    world, population = life.setting.world, life.setting.population
    week = month * WEEKS_A_MONTH + (population.anchor[account] - 1) // 7
    paid = world.months[month] + population.anchor[account] - 1 + 0.02
    failing = course(life, "failing")
    still = np.ones(len(month), dtype=bool)
    for stage in range(WEEKS_TO_CUT):
        later = week + stage + 1
        still &= failing[np.minimum(later, world.weeks), stage, account] > 0
        paid = np.where(still, world.starts[later] + 2.0, paid)
    gone = life.fate.leaves_day[account] <= paid
    back = world.starts[week + WEEKS_TO_CUT] + population.absence[account]
    return np.where(gone, np.nan, np.where(still, back, paid)) + population.hour[account]


def _transfer_days(life: Life, account: np.ndarray, *, month: np.ndarray, generator: np.random.Generator) -> np.ndarray:
    """Days from an invoice to its payment: trouble adds weeks, and so does a clerk on holiday."""
    size = len(month)
    trouble = pressures(life, "payment_trouble")[month * WEEKS_A_MONTH, account]
    slow = generator.random(size) < 0.06
    usual = np.maximum(generator.normal(24.0, 7.0, size), 1.0)
    in_trouble = trouble * (15.0 + generator.exponential(25.0, size))
    return usual + in_trouble + slow * generator.exponential(20.0, size)
