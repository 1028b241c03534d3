"""The invoices table: cards pay at once or fail, longer terms pay by transfer with delays."""

import numpy as np

from features.simulator.model.calendar import WEEKS_PER_MONTH
from features.simulator.model.hidden_state import WEEKS_TO_CUTOFF
from features.simulator.model.population import account_ids
from features.simulator.model.trajectories import Trajectories
from features.simulator.tables.subscriptions import ContractTerms
from features.simulator.tables.table_builder import TableColumns, TextColumn, recording_times, row_ids

NET_DAYS = 30
LATE_SHARE = 0.02


def invoices(trajectories: Trajectories, terms: ContractTerms, *, generator: np.random.Generator) -> TableColumns:
    """A card is charged at each monthly renewal; longer terms are invoiced quarterly."""
    world, population = trajectories.world, trajectories.population
    period = np.where(population.term == 1, 1, 3)
    age = np.arange(world.company.months)[:, None] - population.start_month
    issue_day = world.month_starts[: world.company.months, None] + population.anchor_day - 1
    month, account = np.nonzero((age >= 0) & (age % period == 0) & (issue_day < trajectories.outcomes.leaves_day))
    issued = issue_day[month, account] + population.time_of_day[account]
    card = population.term[account] == 1
    by_transfer = issued + _transfer_days(trajectories, account, month=month, generator=generator)
    return {
        "account_id": TextColumn(account, account_ids(population)),
        "invoice_id": row_ids("I", account),
        "issued_at": issued,
        "due_at": issued + np.where(card, 0, NET_DAYS),
        "paid_at": np.where(card, _card_payment_days(trajectories, account, month=month), by_transfer),
        "amount": (terms.mrr[month + 1, account] * period[account]).round(2),
        "recorded_at": recording_times(issued, LATE_SHARE, generator=generator),
    }


def _card_payment_days(trajectories: Trajectories, account: np.ndarray, *, month: np.ndarray) -> np.ndarray:
    """A card pays at once, in the week of its repair, when the account returns, or never (NaN)."""
    world, population = trajectories.world, trajectories.population
    week = month * WEEKS_PER_MONTH + (population.anchor_day[account] - 1) // 7
    paid = world.month_starts[month] + population.anchor_day[account] - 1 + 0.02
    failing = trajectories.state("card_failing")
    still_failing = np.ones(len(month), dtype=bool)
    for stage in range(WEEKS_TO_CUTOFF):
        later = week + stage + 1
        still_failing &= failing[np.minimum(later, world.week_count), stage, account] > 0
        paid = np.where(still_failing, world.week_starts[later] + 2.0, paid)
    has_left = trajectories.outcomes.leaves_day[account] <= paid
    returned = world.week_starts[week + WEEKS_TO_CUTOFF] + population.absence_days[account]
    return np.where(has_left, np.nan, np.where(still_failing, returned, paid)) + population.time_of_day[account]


def _transfer_days(
    trajectories: Trajectories, account: np.ndarray, *, month: np.ndarray, generator: np.random.Generator
) -> np.ndarray:
    """Days from an invoice to its payment: payment trouble adds weeks, and so does chance."""
    size = len(month)
    trouble = trajectories.pressure("payment_trouble")[month * WEEKS_PER_MONTH, account]
    slow = generator.random(size) < 0.06
    usual = np.maximum(generator.normal(24.0, 7.0, size), 1.0)
    in_trouble = trouble * (15.0 + generator.exponential(25.0, size))
    return usual + in_trouble + slow * generator.exponential(20.0, size)
