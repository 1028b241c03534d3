"""The trend benchmark: how many declines the best possible threshold would show."""

from datetime import datetime, timedelta
from typing import cast

import numpy as np
import pandas as pd
import pytest

from benchmarks.serving.trend import best_possible
from benchmarks.serving.trend_panel import CONSTANT, PLANTED, TrendPanel
from serving.scoring.model_bundle import ModelBundle

WEEKS, CONSTANTS = 53, 40


def make_panel(steps: list[float]) -> TrendPanel:
    """Constant accounts whose log-odds jump by up to 0.39, and a planted one that rises by these steps at the end."""
    log_odds = np.full((WEEKS, CONSTANTS + 1), -2.0)
    log_odds[20, :CONSTANTS] += np.arange(CONSTANTS) / 100
    log_odds[-len(steps) :, CONSTANTS] += np.cumsum(steps)
    days = [datetime(2025, 7, 1) + timedelta(weeks=week) for week in range(WEEKS)]
    kinds = np.array([CONSTANT] * CONSTANTS + [PLANTED])
    nothing = np.full(len(kinds), np.datetime64("NaT", "D"))
    return TrendPanel(cast(ModelBundle, None), days, kinds, nothing, 1 / (1 + np.exp(-log_odds)), pd.DataFrame())


@pytest.mark.parametrize(
    ("steps", "weeks", "is_found"),
    [([0.5], 1, True), ([0.3], 1, False), ([0.1] * 4, 1, False), ([0.1] * 4, 4, True), ([-0.5], 1, False)],
)
def test_a_rise_is_found_if_few_constant_accounts_move_as_far(steps: list[float], weeks: int, is_found: bool):
    assert best_possible(make_panel(steps), weeks)[-1, CONSTANTS] == is_found


def test_of_constant_accounts_at_most_one_in_twenty_exceeds_the_threshold():
    found = best_possible(make_panel([0.0]), 1)[:, :CONSTANTS].any(axis=0)
    assert found.sum() <= CONSTANTS * 0.05
