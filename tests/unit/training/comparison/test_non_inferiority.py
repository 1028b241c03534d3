"""Non-inferiority: each verdict, and each criterion with a planted fault that breaks it."""

import numpy as np
import pytest
from scipy.special import expit, logit

from configs.sections.evaluation import ComparisonSettings, EvaluationSettings
from training.comparison.non_inferiority import ComparisonResult, ExplanationFlips, assess_non_inferiority
from training.evaluation.paired_difference import PairedRisks
from training.evaluation.scorecard import EvaluationData

N = 6_000
GENERATOR = np.random.default_rng(0)
TRUTH = GENERATOR.beta(1, 6, N)
CHURNED = (GENERATOR.random(N) < TRUTH).astype(float)
DATA = EvaluationData(CHURNED, np.arange(N) // 2, GENERATOR.exponential(100, N), as_of=np.arange(N) % 2)
NOISE = GENERATOR.normal(0, 1, N)


def noisy(amount: float) -> np.ndarray:
    """True risks with noise."""
    return expit(logit(TRUTH) + amount * NOISE)


def assess(
    risks: PairedRisks, flips: ExplanationFlips | None = None, margins: ComparisonSettings | None = None
) -> ComparisonResult:
    evaluation = EvaluationSettings(bootstrap_samples=100)
    return assess_non_inferiority(risks, flips, evaluation=evaluation, margins=margins or ComparisonSettings())


def test_better_risks_are_superior():
    result = assess(PairedRisks(DATA, TRUTH, noisy(0.8)))
    assert result.verdict == "superior"
    assert "its log loss is significantly lower" in result.reasons[0]


def test_hardly_different_risks_are_non_inferior():
    result = assess(PairedRisks(DATA, noisy(0.01), TRUTH))
    assert (result.verdict, result.snapshots, result.churned) == ("non_inferior", N, int(CHURNED.sum()))
    assert "which is within the margin" in result.reasons[0]


def test_the_same_risks_are_identical_and_show_no_difference():
    result = assess(PairedRisks(DATA, TRUTH, TRUTH))
    assert (result.verdict, result.metrics) == ("identical", None)
    assert result.reasons == ("both give each of the 6,000 snapshots the same risk",)
    flips = ExplanationFlips("2023-07-01", accounts=100, flipped=80)
    assert assess(PairedRisks(DATA, TRUTH, TRUTH), flips).verdict == "inferior"


def test_a_significantly_higher_log_loss_is_inferior():
    result = assess(PairedRisks(DATA, noisy(0.8), TRUTH))
    assert result.verdict == "inferior"
    assert "its log loss is significantly higher" in result.reasons[0]


def test_a_log_loss_that_may_exceed_the_margin_is_inferior():
    few = np.arange(N) < 150
    data = EvaluationData(CHURNED[few])
    result = assess(PairedRisks(data, noisy(0.6)[few], expit(logit(TRUTH) - 0.6 * NOISE)[few]))
    assert result.metrics and result.metrics["log_loss"].difference.low < 0
    assert result.verdict == "inferior"
    assert result.reasons[0].startswith("its log loss may be ")


def test_a_higher_calibration_error_is_inferior():
    margins = ComparisonSettings(log_loss_margin=1.0)
    result = assess(PairedRisks(DATA, np.clip(TRUTH + 0.03, 0, 1), TRUTH), margins=margins)
    assert any(reason.startswith("its calibration error may be ") for reason in result.reasons)


def test_a_worse_segment_is_inferior_and_named():
    segments = np.where(np.arange(N) < 1500, "small", "large").astype(object)
    challenger = np.where(segments == "small", 0.5 * TRUTH + 0.2, TRUTH)
    champion = np.where(segments == "small", TRUTH, noisy(1.5))
    result = assess(PairedRisks(DATA, challenger, champion, segments))
    assert result.verdict == "inferior"
    assert any(reason.startswith("in the segment 'small' (1500 snapshots") for reason in result.reasons)
    assert not any("'large'" in reason for reason in result.reasons)


def test_a_segment_with_few_churned_accounts_is_not_tested():
    segments = np.where(np.arange(N) < 60, "tiny", "other").astype(object)
    result = assess(PairedRisks(DATA, np.where(segments == "tiny", 0.9, TRUTH), TRUTH, segments))
    assert result.segments and not result.segments["tiny"].tested
    assert not any("'tiny'" in reason for reason in result.reasons)


@pytest.mark.parametrize(("flipped", "is_inferior"), [(20, False), (80, True)])
def test_only_so_many_explanations_may_flip(flipped, is_inferior):
    result = assess(PairedRisks(DATA, TRUTH, noisy(0.8)), ExplanationFlips("2023-07-01", accounts=100, flipped=flipped))
    assert (result.verdict == "inferior") == is_inferior
    assert any("80 of the 100 riskiest accounts on 2023-07-01" in reason for reason in result.reasons) == is_inferior
