"""What the benchmarks call noise."""

import numpy as np
import pandas as pd
import pytest
from scipy.special import expit, logit

from benchmarks.accuracy.runner import METRICS, Contest, Entry, beyond_noise, standings
from benchmarks.accuracy.significance import Daily, chance_of, day_spread, discoveries
from configs.settings import LabelSettings

QUARTERLY = LabelSettings(horizon_days=90, grace_days=0)


def panel(rates: list[float], *, snapshots: int = 1_000) -> pd.DataFrame:
    """So many snapshots on days 90 apart, of which these shares churned."""
    days = pd.date_range("2026-01-01", periods=len(rates), freq="90D")
    churned = [np.arange(snapshots) < rate * snapshots for rate in rates]
    return pd.DataFrame({"as_of": days.repeat(snapshots), "churned": np.concatenate(churned).astype(float)})


def test_it_sees_no_draw_of_days_where_the_rate_stands_still():
    assert day_spread(panel([0.3, 0.3, 0.3]), QUARTERLY) == 0


def test_it_is_as_wide_as_rates_moved_less_the_chance_of_their_answers():
    rows = panel([0.3, 0.5, 0.3], snapshots=100_000)
    assert day_spread(rows, QUARTERLY) == pytest.approx(logit(0.5) - logit(0.3), rel=1e-3)


def test_it_takes_chance_for_no_draw_of_the_day():
    assert day_spread(panel([0.3, 0.34], snapshots=50), QUARTERLY) == 0


def test_it_compares_a_day_with_the_newest_whose_answers_were_known():
    late = QUARTERLY.model_copy(update={"grace_days": 90})
    rows = panel([0.3, 0.5, 0.3, 0.5], snapshots=100_000)
    assert day_spread(rows, late) == 0, "two days apart the rate is the same"


def test_it_moves_log_losses_by_as_much_as_days_drawn_again_would():
    """The derivation against brute force: answers drawn at the moved odds, and both losses taken on them."""
    risks, others = np.full(1_000, 0.45), np.full(1_000, 0.40)
    moves = Daily(np.zeros(1_000, int), 0.2).moves(risks, others, 2_000)
    drawn = np.random.default_rng(1).normal(0.0, 0.2, 2_000)
    rates = expit(logit(0.425) + drawn)
    losses = [-(rates * np.log(one) + (1 - rates) * np.log(1 - one)) for one in (0.45, 0.40)]
    assert moves.std() == pytest.approx((losses[0] - losses[1]).std(), rel=0.05)
    assert moves.mean() == pytest.approx(0, abs=0.0006)


def test_it_lets_a_higher_risk_gain_where_more_churn():
    daily = Daily(np.zeros(2, int), 0.2)
    higher, lower = daily.moves(np.full(2, 0.5), np.full(2, 0.4), 50), daily.moves(np.full(2, 0.4), np.full(2, 0.5), 50)
    assert higher == pytest.approx(-lower)


def test_it_moves_nothing_between_equal_levels():
    assert Daily(np.array([0, 0, 1]), 0.3).moves(np.full(3, 0.4), np.full(3, 0.4), 10) == pytest.approx(0)


def test_it_gives_a_lead_of_two_standard_deviations_its_normal_chance():
    assert chance_of(2.0, np.array([-1.0, 1.0])) == pytest.approx(0.0228, abs=1e-4)


def test_it_gives_no_lead_no_chance_of_being_one():
    assert chance_of(0.0, np.zeros(3)) == 1


def test_it_discovers_what_twenty_comparisons_do_not_explain():
    chances = {("forest", f"metric {number}"): 0.5 for number in range(19)}
    assert discoveries(chances | {("forest", "auc"): 0.002}) == [("forest", "auc")]
    assert discoveries(chances | {("forest", "auc"): 0.01}) == []


def contest(day_spread: float) -> Contest:
    """Oarlock risks too much on a day when fewer churned than before; a rival of the same ranking does not."""
    draw = np.random.default_rng(3)
    sure = draw.uniform(-1, 1, 2_000)
    churned = (draw.random(2_000) < expit(sure - 0.4)).astype(float)
    test = pd.DataFrame({"account_id": np.arange(2_000).astype(str), "as_of": pd.Timestamp("2026-01-01")})
    entries = [Entry("Oarlock", expit(sure), 1, 1), Entry("lower", expit(sure - 0.4), 1, 1)]
    return Contest(None, test.assign(churned=churned), entries, day_spread)  # pyright: ignore[reportArgumentType]


def test_it_finds_a_rival_ahead_whose_level_is_truer_on_days_that_hardly_differ():
    standing = standings(contest(day_spread=0.01))
    assert standing[1].is_ahead("log_loss")
    assert beyond_noise(standing) == ["lower (log_loss)"]


def test_it_does_not_where_days_are_known_to_differ_by_as_much():
    standing = standings(contest(day_spread=0.4))
    assert standing[1].is_ahead("log_loss"), "given the day it is"
    assert beyond_noise(standing) == []
    assert all(standing[1].to_come[name] == standing[1].less_oarlock[name] for name in METRICS if name != "log_loss")
