"""The sequential comparison: what a better challenger gains, and how rarely equal ones look different."""

import numpy as np
import pytest
from scipy.special import expit, logit

from monitoring.shadow.sequential_comparison import MAX_DIFFERENCE, compare_sequentially, log_loss_gains

WEEKS, ACCOUNTS = 20, 1_000


def weekly_gains(seed: int, *, challenger_noise: float) -> tuple[np.ndarray, np.ndarray]:
    """The gains and departures of every week; the champion's log-odds miss the truth by 0.6 on average."""
    random = np.random.default_rng(seed)
    truth = logit(np.clip(random.beta(0.6, 14, (WEEKS, ACCOUNTS)), 1e-4, 0.9))
    champion = expit(truth + random.normal(0, 0.6, truth.shape))
    challenger = expit(truth + random.normal(0, challenger_noise, truth.shape))
    churned = (random.random(truth.shape) < expit(truth)).astype("float64")
    return log_loss_gains(challenger, champion, churned), churned


def findings(seed: int, *, challenger_noise: float) -> list[str]:
    """What is said after each week."""
    gains, churned = weekly_gains(seed, challenger_noise=challenger_noise)
    looks = range(1, WEEKS + 1)
    return [compare_sequentially(gains[:weeks].ravel(), churned[:weeks].ravel()).finding for weeks in looks]


def test_the_gain_is_the_difference_of_log_losses():
    gains = log_loss_gains(np.array([0.2, 0.2]), np.array([0.1, 0.1]), np.array([1.0, 0.0]))
    assert gains == pytest.approx([np.log(0.2 / 0.1), np.log(0.8 / 0.9)])


def test_no_single_account_decides():
    gains = log_loss_gains(np.array([1e-9]), np.array([0.5]), np.array([1.0]))
    assert gains == pytest.approx([np.log(expit(-MAX_DIFFERENCE) / 0.5)])


def test_nothing_is_known_without_accounts():
    comparison = compare_sequentially(np.array([]), np.array([]))
    assert (comparison.finding, comparison.evidence_for) == ("cannot tell yet", 1.0)
    assert (comparison.low, comparison.high) == (-MAX_DIFFERENCE, MAX_DIFFERENCE)


def test_a_challenger_and_its_mirror_image_have_mirrored_figures():
    gains, churned = weekly_gains(0, challenger_noise=0.3)
    there, back = compare_sequentially(gains.ravel(), churned.ravel()), compare_sequentially(-gains.ravel(), churned)
    assert (there.low, there.high) == pytest.approx((-back.high, -back.low))
    assert there.evidence_for == pytest.approx(back.evidence_against)


def test_a_better_challenger_is_found_and_a_worse_one_too():
    assert all(findings(seed, challenger_noise=0.0)[-1] == "challenger is better" for seed in range(10))
    assert all(findings(seed, challenger_noise=1.5)[-1] == "champion is better" for seed in range(10))


def test_two_equally_good_versions_look_different_in_at_most_one_of_twenty():
    named = [any(found != "cannot tell yet" for found in findings(seed, challenger_noise=0.6)) for seed in range(40)]
    assert sum(named) <= 2


def test_the_interval_holds_the_mean_gain_at_every_look():
    expected = float(np.mean([weekly_gains(seed, challenger_noise=0.0)[0].mean() for seed in range(200, 300)]))
    for seed in range(10):
        gains, churned = weekly_gains(seed, challenger_noise=0.0)
        looks = [compare_sequentially(gains[:weeks].ravel(), churned[:weeks].ravel()) for weeks in range(1, WEEKS + 1)]
        assert all(look.low <= expected <= look.high for look in looks)
