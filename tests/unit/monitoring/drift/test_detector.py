"""The drift detector on simulated panels: how often it alarms without change, and what it sees."""

from datetime import datetime, timedelta
from itertools import pairwise

import numpy as np
import pandas as pd
import pytest

from monitoring.drift.detector import DriftReport, detect_drift
from monitoring.drift.panel import changes_by_segment
from monitoring.evidence.budget import level_of_run

START = datetime(2023, 1, 2)
SIGNALS, BUDGET = 12, 0.05
Days = list[pd.DataFrame]


def four_weeks(number: int) -> datetime:
    return START + timedelta(days=28 * number)


def simulate_panel(accounts: int, seed: int, months: int = 15) -> Days:
    """Months of the same accounts: skewed signals that wander, with a common month effect, and gaps."""
    generator = np.random.default_rng(seed)
    level = generator.normal(size=(accounts, SIGNALS))
    days: Days = []
    for _ in range(months):
        level = 0.9 * level + 0.4 * generator.normal(size=level.shape) + 0.05 * generator.normal(size=SIGNALS)
        values = np.exp(level)
        values[generator.random(values.shape) < 0.1] = np.nan
        segments = pd.Series(["large", "small"])[np.arange(accounts) % 2].to_numpy()
        days.append(pd.DataFrame(values).rename(columns=str).assign(segment=segments))
    return days


def detect(days: Days) -> DriftReport:
    """The last pair of the days against all earlier ones."""
    changes = {
        (four_weeks(number - 1), four_weeks(number)): changes_by_segment(*pair)
        for number, pair in enumerate(pairwise(days), start=1)
    }
    newest = max(changes)
    past = {pair: change for pair, change in changes.items() if pair != newest}
    return detect_drift(newest, changes[newest], past, level=level_of_run(BUDGET, days=28))


@pytest.mark.parametrize("accounts", [100, 400])
def test_no_change_raises_no_alarm(accounts):
    # A year's budget is 0.0125 for drift alone: 6 runs raise one with probability 0.0002.
    assert [detect(simulate_panel(accounts, seed)).drifted for seed in range(6)] == [()] * 6


@pytest.mark.parametrize("accounts", [100, 400])
def test_a_shift_is_seen_and_named(accounts):
    days = simulate_panel(accounts, seed=1)
    days[-1]["3"] *= 30
    assert {signal.signal for signal in detect(days).drifted} == {"3"}


def test_values_that_go_missing_are_seen():
    days = simulate_panel(300, seed=2)
    days[-1].loc[np.arange(300) % 2 == 0, "5"] = np.nan
    assert [(signal.signal, signal.kind) for signal in detect(days).drifted] == [("5", "missing")]


def test_a_shift_in_one_segment_names_the_segment():
    days = simulate_panel(1_600, seed=3)
    days[-1].loc[days[-1].segment == "small", "7"] *= 1.8
    assert {(signal.signal, signal.segment) for signal in detect(days).drifted} == {("7", "small")}


def test_what_the_own_past_does_every_year_is_no_alarm():
    days = simulate_panel(400, seed=4)
    for holidays in (days[1], days[-1]):
        holidays["9"] /= 5
    assert detect(days).drifted == ()
    days[1]["9"] *= 5
    assert {signal.signal for signal in detect(days).drifted} == {"9"}


def test_few_accounts_see_nothing_and_say_so():
    report = detect(simulate_panel(20, seed=5))
    assert (report.smallest_visible, report.is_conclusive, report.is_alarm) == (None, False, False)


def test_more_accounts_see_smaller_shifts():
    visible = [detect(simulate_panel(accounts, seed=6)).smallest_visible for accounts in (100, 400)]
    assert visible == sorted(filter(None, visible), reverse=True)
