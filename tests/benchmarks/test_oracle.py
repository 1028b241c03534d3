"""The oracle: the gain of the true probabilities, with which the benchmarks compare models."""

import numpy as np
import pandas as pd
import pytest
from scipy.special import expit

from benchmarks.accuracy.oracle import (
    TRUE_ERROR,
    TRUE_RISK,
    Truth,
    is_held_out,
    measure_gain,
    share_of_ceiling_gain,
    steps,
    truth_of,
    with_truth,
)
from training.model.churn_model import ModelInput

P = np.array([0.02, 0.02, 0.3, 0.02, 0.6, 0.1])
TRUTH = Truth(P, np.zeros(6), np.array([0, 0, 0, 0, 1, 0]), np.array(list("abcdef")), base_rate=P.mean())


def test_the_true_probabilities_reach_the_whole_gain():
    result = measure_gain(TRUTH, P)
    assert result.share.value == pytest.approx(1)
    assert result.gap_to_truth == pytest.approx(0)


def test_the_base_rate_reaches_no_gain():
    result = measure_gain(TRUTH, np.full(6, P.mean()))
    assert result.share.value == pytest.approx(0)
    assert result.realised_share == pytest.approx(0)


def test_reversed_risks_reach_a_negative_gain():
    assert measure_gain(TRUTH, P[::-1]).share.value < 0


def test_the_limit_is_corrected_for_errors_of_the_truth():
    """Noise in a probability makes its entropy look smaller, so that a noisy truth seems to gain more."""
    p = np.full(50, 0.3)
    names = np.arange(50).astype(str)
    exact = measure_gain(Truth(p, np.zeros(50), np.zeros(50), names, base_rate=0.5), p)
    noisy = measure_gain(Truth(p, np.full(50, 0.03), np.zeros(50), names, base_rate=0.5), p)
    gained = np.log(2) + 0.3 * np.log(0.3) + 0.7 * np.log(0.7)
    assert noisy.share.value / exact.share.value == pytest.approx(gained / (gained - 0.03**2 / (2 * 0.3 * 0.7)))


def test_it_keeps_the_order_of_the_snapshots():
    rows = pd.DataFrame({"account_id": ["b", "a"], "as_of": pd.Timestamp("2026-01-01"), "churned": [1.0, 0.0]})
    true = rows[["account_id", "as_of"]].iloc[::-1].assign(**{TRUE_RISK: [0.1, 0.9], TRUE_ERROR: 0.01})
    truth = truth_of(with_truth(rows, true), base_rate=0.5)
    assert truth.probability.tolist() == [0.9, 0.1]


def test_the_gain_is_a_share_of_the_signal_ceiling():
    ceiling = 0.5 * P + 0.5 * P.mean()
    assert share_of_ceiling_gain(TRUTH, ceiling, ceiling).value == pytest.approx(1)
    assert share_of_ceiling_gain(TRUTH, np.full(6, P.mean()), ceiling).value == pytest.approx(0)
    assert share_of_ceiling_gain(TRUTH, P, ceiling).value > 1


def test_more_information_gives_more_gain():
    """One signal shows half of the hazard; no signal shows the other half."""
    generator = np.random.default_rng(0)
    visible, hidden = generator.normal(size=(2, 6_000))
    true = expit(visible + hidden - 2)
    rows = pd.DataFrame({"account_id": np.arange(6_000).astype(str), "use": visible, "logit_unseen": hidden})
    rows = rows.assign(logit_use=visible, true_risk=true, churned=0.0, true_error=0.0)
    signal = ModelInput("use", "adoption", "use", "How much it is used.", "", "number", actionable=True)
    test_rows = rows[is_held_out(rows)]
    truth = truth_of(test_rows, base_rate=true.mean())
    shares = {name: measure_gain(truth, risks).share.value for name, risks in steps(rows, test_rows, (signal,)).items()}
    assert shares["state"] > 0.95
    assert 0.3 < shares["signals"] < 0.7
    assert shares["visible state"] == pytest.approx(shares["signals"], abs=0.03)
