"""The bounds of the number of accounts that will leave."""

import numpy as np
import pytest
from scipy.special import expit, logit

from serving.accounts.portfolio_comparison import bound_churn


def test_with_a_certain_level_only_chance_is_left():
    assert bound_churn(np.full(100, 0.5), 0.0) == pytest.approx((50 - 1.96 * 5, 50 + 1.96 * 5))


def test_a_doubtful_level_moves_all_accounts_together():
    assert bound_churn(np.full(100, 0.5), 0.4) == pytest.approx((50 - 1.96 * 125**0.5, 50 + 1.96 * 125**0.5))


def test_no_more_accounts_leave_than_there_are():
    assert bound_churn(np.array([0.9, 0.1]), 3.0) == (0, 2)


@pytest.mark.parametrize("level_sd", [0.0, 0.1, 0.3])
def test_the_bounds_cover_as_often_as_they_say(level_sd: float):
    draw = np.random.default_rng(3)
    risks = draw.beta(1, 9, 800)
    levels = draw.normal(0, level_sd, 2_000)
    left = [(draw.random(800) < expit(logit(risks) + level)).sum() for level in levels]
    low, high = bound_churn(risks, level_sd)
    assert np.mean((np.array(left) >= low) & (np.array(left) <= high)) == pytest.approx(0.95, abs=0.015)
