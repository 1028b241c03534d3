"""Trends: an arrow only for a change beyond the noise, and a plain word for everything that cannot be judged."""

import numpy as np
import pytest

from serving.accounts.trends.risk_trend import (
    TRENDS,
    RefitSpread,
    RiskPair,
    extrapolate_tail,
    judge_trends,
    to_log_odds,
)

SPREAD = RefitSpread((-4.0, 0.0), (0.15, 0.15))
GENERATOR = np.random.default_rng(5)


def from_log_odds(log_odds: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-log_odds))


def trends_of(pair: RiskPair, spread: RefitSpread | None = SPREAD) -> list[str]:
    return [TRENDS[code] for code in judge_trends(pair, spread)]


def make_pair(changes: np.ndarray) -> RiskPair:
    """Accounts whose log-odds were between -3 and -2, and changed by so much."""
    before = np.linspace(-3, -2, len(changes))
    return RiskPair(from_log_odds(before + changes), from_log_odds(before), np.ones(len(changes), dtype=bool))


def test_an_arrow_is_shown_only_for_the_accounts_that_moved():
    changes = GENERATOR.normal(0, 0.05, 200)
    changes[:3] = 1.5, -1.5, 0.2
    assert trends_of(make_pair(changes))[:4] == ["rising", "falling", "steady", "steady"]


def test_a_day_on_which_everybody_moves_has_no_arrows():
    assert set(trends_of(make_pair(np.full(200, 1.0)))) == {"steady"}


def test_where_hardly_any_risk_moves_one_that_jumps_is_compared_with_all_risks():
    changes = GENERATOR.normal(0, 0.2, 200)
    changes[:50] = 0.0
    changes[:3] = 0.45
    assert trends_of(make_pair(changes))[:3] == ["steady"] * 3
    changes[50:] = 0.0
    assert trends_of(make_pair(changes))[:3] == ["rising"] * 3


def test_a_change_within_what_refits_make_of_a_risk_is_steady():
    changes = np.zeros(200)
    changes[100] = 0.8
    assert trends_of(make_pair(changes))[100] == "rising"
    assert trends_of(make_pair(changes), RefitSpread((-4.0, 0.0), (0.5, 0.5)))[100] == "steady"


def test_an_account_without_an_earlier_risk_is_new_and_another_version_is_not_comparable():
    pair = make_pair(np.full(50, 0.01))
    before, same = pair.before.copy(), pair.is_same_version.copy()
    before[0], same[0], same[1] = np.nan, False, False
    assert trends_of(RiskPair(pair.now, before, same))[:3] == ["new", "not_comparable", "steady"]


@pytest.mark.parametrize(("accounts", "spread"), [(29, SPREAD), (200, None)])
def test_without_a_measure_of_the_noise_there_is_no_arrow(accounts: int, spread: RefitSpread | None):
    changes = np.zeros(accounts)
    changes[0] = 3.0
    assert set(trends_of(make_pair(changes), spread)) == {"not_known"}


@pytest.mark.parametrize("noise", [GENERATOR.normal, GENERATOR.laplace])
def test_of_accounts_that_only_vary_at_most_one_in_twenty_has_an_arrow_in_a_year(noise):
    """Also if a few of them jump: most risks hardly move, and real moves have longer tails than normal ones."""
    looks = [trends_of(make_pair(noise(0, 0.3, 1_000))) for _ in range(52)]
    had_arrow = np.array([[trend in ("rising", "falling") for trend in look] for look in looks]).any(axis=0)
    assert had_arrow.mean() <= 0.07  # with a thousand accounts, 5 % is known within 2 points


@pytest.mark.parametrize(("jumps", "low", "high"), [(8, 0.01, 0.03), (15, 2.4, 2.8)])
def test_a_risk_has_to_move_further_once_a_tenth_of_the_accounts_jump(jumps: int, low: float, high: float):
    moved = np.array([0.2] * jumps + [0.01] * (100 - jumps))
    assert low < extrapolate_tail(moved) < high


def test_certain_risks_have_finite_log_odds():
    assert np.isfinite(to_log_odds(np.array([0.0, 1.0]))).all()
