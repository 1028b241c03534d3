"""Disagreements: what people see of accounts, and where the risk says otherwise."""

import numpy as np
import pytest

from serving.accounts.disagreement import SIGNALS, find_disagreements, rate_appearances, standardize

UNKNOWN = dict.fromkeys(SIGNALS, np.nan)
PAYING = {**UNKNOWN, "mrr": 100.0, "mrr_change_91d": 1.0, "overdue_invoices": 0.0}


def appearance(judgement: str | None = None, *, was_low: bool = False, **signals: float) -> float:
    values = {name: np.array([value]) for name, value in {**UNKNOWN, **signals}.items()}
    return float(rate_appearances(values, np.array([judgement], dtype=object), np.array([was_low])).total[0])


@pytest.mark.parametrize(
    ("judgement", "signals", "expected"),
    [
        (None, PAYING, 0.25),
        ("wrong", {}, 1.0),
        ("right", PAYING, (-1.0 * 2 + 0.25) / 3),
        (None, {"last_nps": 10.0, "last_nps_age": 30.0}, 1.0),
        (None, {"last_nps": 10.0, "last_nps_age": 30.0, "last_csat": 3.0, "last_csat_age": 9.0}, 0.0),
        (None, {"last_csat": 1.0, "last_csat_age": 9.0}, -1.0),
        (None, {"last_csat": 5.0, "last_csat_age": 9.0}, 0.0),
        (None, {"last_csat": 6.0, "last_csat_age": 9.0}, 0.5),
        (None, {"last_csat": 7.0, "last_csat_age": 9.0}, 1.0),
        (None, {**PAYING, "overdue_invoices": 2.0}, -0.5),
        (None, {**PAYING, "mrr_change_91d": 1.1}, 0.5),
        (None, {**PAYING, "mrr_change_91d": 1.1, "days_until_cancellation": 20.0}, -1.0),
    ],
)
def test_what_people_see_is_the_weighted_mean_of_what_is_known(judgement, signals, expected):
    assert appearance(judgement, **signals) == pytest.approx(expected)


def test_a_verdict_on_a_low_risk_means_the_reverse():
    assert [appearance(verdict, was_low=True) for verdict in ("right", "wrong", "saved_watch")] == [1.0, -1.0, -0.5]


def test_an_old_answer_and_no_answer_say_nothing():
    assert np.isnan(appearance(None, last_nps=10.0, last_nps_age=200.0))


def test_risks_are_compared_in_robust_standard_deviations_of_their_log_odds():
    odds = np.array([-4.0, -3.0, -2.0, -1.0, 3.0])
    assert standardize(1 / (1 + np.exp(-odds))) == pytest.approx((odds + 2) / (2 / 1.349))


@pytest.mark.parametrize(("risks", "expected"), [([], []), ([0.2], [0]), ([0.2, 0.2, 0.2], [0, 0, 0])])
def test_risks_that_are_all_equal_surprise_nobody(risks: list, expected: list):
    assert standardize(np.array(risks, dtype=float)).tolist() == expected


def test_risks_of_which_the_middle_half_is_equal_are_compared_in_plain_standard_deviations():
    odds = np.array([0.0] * 7 + [2.0])  # by hand: mean 1/4, variance 4/8 - 1/16 = 7/16
    assert standardize(1 / (1 + np.exp(-odds)))[-1] == pytest.approx(2 / np.sqrt(7 / 16))


def test_disagreements_are_above_zero_for_the_green_at_risk_and_below_for_the_red_that_are_safe():
    risks = np.array([0.5, 0.5, 0.001, 0.001, 0.02, 0.5])
    looks = np.array([1.0, -1.0, -1.0, 1.0, 1.0, np.nan])
    signs = np.sign(find_disagreements(risks, looks)).tolist()
    assert signs == [1, 0, -1, 0, 0, 0]


def test_the_greener_it_looks_and_the_higher_the_risk_the_larger():
    risks = np.concatenate([[0.5, 0.5, 0.2], np.linspace(0.01, 0.05, 50)])
    looks = np.concatenate([[1.0, 0.5, 1.0], np.zeros(50)])
    first, less_green, less_risk = find_disagreements(risks, looks)[:3]
    assert first > less_green > 0
    assert first > less_risk > 0
