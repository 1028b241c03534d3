"""Duel: a better challenger wins, an equal one is not worse, and every way to lose has a planted fault."""

import numpy as np
import pytest
from scipy.special import expit, logit

from configs.settings import ComparisonSettings, EvaluationSettings
from training.comparison.non_inferiority import Duel, Flips, fight, incomparable, main_families
from training.evaluation.metrics import calibration_error, tally
from training.evaluation.paired_difference import Bout, compare
from training.evaluation.scorecard import Cases

N = 6_000
GENERATOR = np.random.default_rng(0)
TRUTH = GENERATOR.beta(1, 6, N)
CHURNED = (GENERATOR.random(N) < TRUTH).astype(float)
CASES = Cases(CHURNED, np.arange(N) // 2, GENERATOR.exponential(100, N), as_of=np.arange(N) % 2)
NOISE = GENERATOR.normal(0, 1, N)
SETTINGS, MARGINS = EvaluationSettings(bootstrap_samples=100), ComparisonSettings()


def noisy(amount: float) -> np.ndarray:
    """True risks blurred by noise."""
    return expit(logit(TRUTH) + amount * NOISE)


def held(challenger: np.ndarray, champion: np.ndarray, segments: np.ndarray | None = None) -> Duel:
    return fight(Bout(CASES, challenger, champion, segments), None, SETTINGS, MARGINS)


def test_truer_risks_win():
    duel = held(TRUTH, noisy(0.8))
    assert duel.verdict == "wins"
    assert "its log loss is smaller for sure" in duel.reasons[0]


def test_the_same_risks_are_not_worse():
    duel = held(TRUTH, TRUTH)
    assert (duel.verdict, duel.snapshots, duel.churned) == ("not worse", N, int(CHURNED.sum()))


def test_a_challenger_that_is_worse_for_sure_loses():
    duel = held(noisy(0.8), TRUTH)
    assert duel.verdict == "loses"
    assert "its log loss is worse for sure" in duel.reasons[0]


def test_a_challenger_that_may_be_worse_loses_too():
    few = np.arange(N) < 150
    bout = Bout(Cases(CHURNED[few]), noisy(0.6)[few], expit(logit(TRUTH) - 0.6 * NOISE)[few])
    duel = fight(bout, None, SETTINGS, MARGINS)
    assert duel.figures and duel.figures["log_loss"].difference.low < 0
    assert duel.verdict == "loses"
    assert "its log loss may be worse by" in duel.reasons[0]


def test_a_challenger_out_of_calibration_loses():
    bout = Bout(CASES, np.clip(TRUTH + 0.03, 0, 1), TRUTH)
    duel = fight(bout, None, SETTINGS, MARGINS.model_copy(update={"margin": 1.0}))
    assert any("may lie farther from the churn rate" in reason for reason in duel.reasons)


def test_a_challenger_that_gives_up_a_segment_loses_by_its_name():
    segments = np.where(np.arange(N) < 1500, "small", "large").astype(object)
    spoiled = np.where(segments == "small", 0.5 * TRUTH + 0.2, TRUTH)
    duel = held(spoiled, np.where(segments == "small", TRUTH, noisy(1.5)), segments)
    assert duel.verdict == "loses"
    assert any(reason.startswith("in the segment 'small' (1500 snapshots") for reason in duel.reasons)
    assert not any("'large'" in reason for reason in duel.reasons)


def test_a_segment_with_hardly_any_churn_is_shown_but_not_judged():
    segments = np.where(np.arange(N) < 60, "tiny", "rest").astype(object)
    duel = held(np.where(segments == "tiny", 0.9, TRUTH), TRUTH, segments)
    assert duel.segments and not duel.segments["tiny"].judged
    assert not any("'tiny'" in reason for reason in duel.reasons)


@pytest.mark.parametrize(("flipped", "loses"), [(20, False), (80, True)])
def test_explanations_may_flip_within_a_budget_only(flipped, loses):
    flips = Flips("2023-07-01", accounts=100, flipped=flipped)
    duel = fight(Bout(CASES, TRUTH, noisy(0.8)), flips, SETTINGS, MARGINS)
    assert (duel.verdict == "loses") == loses
    assert any("80 of the 100 accounts worth a call on 2023-07-01" in reason for reason in duel.reasons) == loses


def test_what_cannot_be_compared_says_why():
    assert incomparable("they answer different questions").reasons == ("they answer different questions",)


def test_differences_are_paired_so_that_equal_noise_cancels():
    found = compare(Bout(CASES, TRUTH, TRUTH), SETTINGS)
    assert {(one.difference.low, one.difference.high) for one in found.values()} == {(0.0, 0.0)}
    assert set(found) == {"log_loss", "auc", "average_precision", "revenue_at_capacity", "calibration_error"}


def test_the_main_family_raises_the_risk_most():
    shares = np.array([[0.5, 0.4, -0.2], [-0.1, -0.2, -0.3], [0.3, 0.1, 0.5]])
    assert main_families(shares, ["usage", "usage", "billing"]) == ["usage", "", "billing"]


def test_the_calibration_error_is_the_mean_distance_of_risk_and_rate():
    churned = np.tile([1.0, 0.0], 50)
    assert calibration_error(tally(churned, np.full(100, 0.3)), groups=1)[0] == pytest.approx(0.2)
    by_risk = np.where(np.arange(100) < 50, 0.25, 0.75)
    assert calibration_error(tally(churned, by_risk), groups=2)[0] == pytest.approx(0.25)
