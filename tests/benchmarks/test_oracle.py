"""The limit that the benchmarks hold risks against."""

import numpy as np
import pandas as pd
import pytest
from scipy.special import expit

from benchmarks.accuracy.oracle import (
    TRUE_ERROR,
    TRUE_RISK,
    Truth,
    held_out,
    of_shown,
    reached,
    steps,
    truth_of,
    with_truth,
)
from training.model.churn_model import Input

P = np.array([0.02, 0.02, 0.3, 0.02, 0.6, 0.1])
TRUTH = Truth(P, np.zeros(6), np.array([0, 0, 0, 0, 1, 0]), np.array(list("abcdef")), base_rate=P.mean())


def test_it_gives_the_true_probability_the_whole_gain_and_no_gap():
    near = reached(TRUTH, P)
    assert near.share.value == pytest.approx(1)
    assert near.gap_to_truth == pytest.approx(0)


def test_it_gives_the_base_rate_nothing():
    near = reached(TRUTH, np.full(6, P.mean()))
    assert near.share.value == pytest.approx(0)
    assert near.realised_share == pytest.approx(0)


def test_it_says_that_less_than_nothing_is_reached_by_risks_turned_around():
    assert reached(TRUTH, P[::-1]).share.value < 0


def test_it_corrects_the_limit_for_the_error_of_the_probabilities():
    """Noise in a probability makes its own surprise look smaller than it is, so that noise seems to gain too much."""
    p = np.full(50, 0.3)
    names = np.arange(50).astype(str)
    exact = reached(Truth(p, np.zeros(50), np.zeros(50), names, base_rate=0.5), p)
    noisy = reached(Truth(p, np.full(50, 0.03), np.zeros(50), names, base_rate=0.5), p)
    gained = np.log(2) + 0.3 * np.log(0.3) + 0.7 * np.log(0.7)
    assert noisy.share.value / exact.share.value == pytest.approx(gained / (gained - 0.03**2 / (2 * 0.3 * 0.7)))


def test_it_keeps_the_order_of_the_snapshots():
    rows = pd.DataFrame({"account_id": ["b", "a"], "as_of": pd.Timestamp("2026-01-01"), "churned": [1.0, 0.0]})
    true = rows[["account_id", "as_of"]].iloc[::-1].assign(**{TRUE_RISK: [0.1, 0.9], TRUE_ERROR: 0.01})
    truth = truth_of(with_truth(rows, true), base_rate=0.5)
    assert truth.probability.tolist() == [0.9, 0.1]


def test_it_gives_the_gain_as_a_share_of_what_the_signals_show():
    shown = 0.5 * P + 0.5 * P.mean()
    assert of_shown(TRUTH, shown, shown).value == pytest.approx(1)
    assert of_shown(TRUTH, np.full(6, P.mean()), shown).value == pytest.approx(0)
    assert of_shown(TRUTH, P, shown).value > 1


def test_its_steps_know_more_the_more_they_are_told():
    """A hidden part that no signal shows, and a signal that shows half of the hazard."""
    draw = np.random.default_rng(0)
    seen, hidden = draw.normal(size=(2, 6_000))
    true = expit(seen + hidden - 2)
    rows = pd.DataFrame({"account_id": np.arange(6_000).astype(str), "use": seen, "logit_unseen": hidden})
    rows = rows.assign(logit_use=seen, true_risk=true, churned=0.0, true_error=0.0)
    one = Input("use", "adoption", "use", "How much it is used.", "", "number", actionable=True)
    judged = rows[held_out(rows)]
    truth = truth_of(judged, base_rate=true.mean())
    told = {name: reached(truth, risks).share.value for name, risks in steps(rows, judged, (one,)).items()}
    assert told["state"] > 0.95
    assert 0.3 < told["signals"] < 0.7
    assert told["visible state"] == pytest.approx(told["signals"], abs=0.03)
