"""Performance before labels: hand-computed values, and what simulated outcomes give on average."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import lognorm, poisson

from monitoring.outcomes.bets import Doubt
from monitoring.outcomes.estimate import (
    NOTHING_EARLY,
    EarlyOutcomes,
    estimate_performance,
    expected_auc,
    expected_log_loss,
    scale_hazard,
)

SURE = Doubt(departures=10**9, drift_sd=0.0, segment_sd=0.0, critical=2.73)


def test_the_expected_figures_of_three_risks_by_hand():
    risks = np.array([0.5, 0.2, 0.2])
    estimate = estimate_performance(risks, SURE, NOTHING_EARLY)
    assert estimate is not None
    assert estimate.auc is not None
    # In order: 0.5 above each 0.2, 0.5 * 0.8 twice; the two 0.2 are tied, 0.2 * 0.8 / 2 twice.
    # All pairs: the same, and each 0.2 leaving while 0.5 stays, 0.2 * 0.5 twice, and the ties whole.
    assert estimate.auc.value == pytest.approx((0.8 + 0.16) / (0.8 + 0.2 + 0.32))
    assert estimate.churned.value == pytest.approx(0.9)
    assert estimate.log_loss.value == pytest.approx((np.log(2) + 2 * 0.5004) / 3, abs=1e-4)


RISKS = st.lists(st.sampled_from([0.01, 0.05, 0.1, 0.3, 0.3, 0.6, 0.9]), min_size=40, max_size=60).map(np.array)


@settings(max_examples=20, deadline=None)
@given(RISKS)
def test_estimates_of_calibrated_risks_are_what_simulated_outcomes_give(risks):
    left = np.random.default_rng(1).random((4000, len(risks))) < risks
    losses = -(left * np.log(risks) + ~left * np.log1p(-risks)).mean(axis=1)
    both = left[left.any(axis=1) & ~left.all(axis=1)]
    order = (np.sign(risks[:, None] - risks[None, :]) + 1) / 2
    ordered, pairs = np.einsum("ki,ij,kj->k", both, order, ~both), both.sum(axis=1) * (~both).sum(axis=1)
    assert expected_log_loss(risks, risks) == pytest.approx(losses.mean(), abs=4 * losses.std() / 60)
    assert expected_auc(risks, risks) == pytest.approx(ordered.sum() / pairs.sum(), abs=0.02)


def test_the_interval_of_churn_covers_it_in_95_of_100_companies():
    doubt = Doubt(departures=80, drift_sd=0.1, segment_sd=0.0, critical=2.73)
    generator = np.random.default_rng(3)
    risks = generator.beta(1, 12, 400)
    estimate = estimate_performance(risks, doubt, NOTHING_EARLY)
    assert estimate is not None
    level = np.exp(generator.normal(0, doubt.level_sd, (2000, 1)) - doubt.level_sd**2 / 2)
    left = (generator.random((2000, 400)) < scale_hazard(risks, level)).sum(axis=1)
    covered = np.mean((estimate.churned.low <= left) & (left <= estimate.churned.high))
    assert 0.93 < covered < 0.98


def test_early_departures_move_the_level_as_far_as_there_is_doubt():
    risks, early = np.full(500, 0.1), EarlyOutcomes(np.full(500, 0.04), 40)  # twice what is expected
    vague = Doubt(departures=25, drift_sd=0.0, segment_sd=0.0, critical=2.73)
    moved, same = (estimate_performance(risks, doubt, early) for doubt in (vague, SURE))
    assert moved is not None
    assert same is not None
    factors = np.linspace(0.2, 4.0, 20_000)
    hazard = -500 * np.log(0.96)
    weights = np.array(lognorm.pdf(factors, 0.2, scale=np.exp(-0.02)) * poisson.pmf(40, factors * hazard))
    assert moved.early_factor == pytest.approx(factors @ weights / weights.sum(), abs=0.002)
    assert same.early_factor == pytest.approx(1.0, abs=0.01)
    assert moved.churned.value > same.churned.value == pytest.approx(50, abs=0.5)


def test_without_an_open_risk_nothing_is_estimated():
    assert estimate_performance(np.array([]), SURE, NOTHING_EARLY) is None
