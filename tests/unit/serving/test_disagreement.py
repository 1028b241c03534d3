"""Disagreements: what people see of accounts, and where the risk says otherwise."""

import numpy as np
import pytest

from serving.accounts.disagreement import (
    SIGNALS,
    Evidence,
    find_disagreements,
    find_evidence,
    rate_appearances,
    standardize,
)

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
        ("right", {**PAYING, "last_nps": 10.0, "last_nps_age": 30.0}, (-1.0 * 2 + 1.0 * 2 + 0.25) / 5),
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
    assert evidence_of(1 / (1 + np.exp(-odds))).risk == pytest.approx((odds + 2) / (2 / 1.349))


@pytest.mark.parametrize(("values", "expected"), [([], []), ([0.2], [0]), ([0.2, 0.2, 0.2], [0, 0, 0])])
def test_values_that_are_all_equal_surprise_nobody(values: list, expected: list):
    assert standardize(np.array(values, dtype=float)).tolist() == expected


def test_values_of_which_the_middle_half_is_equal_are_compared_in_plain_standard_deviations():
    values = np.array([0.0] * 7 + [2.0])  # by hand: mean 1/4, variance 4/8 - 1/16 = 7/16
    assert standardize(values)[-1] == pytest.approx(2 / np.sqrt(7 / 16))


def evidence_of(risks: np.ndarray, events: np.ndarray | None = None, **values: float) -> Evidence:
    present = {"mrr": 100.0, "seats": 10.0, **values}
    signals = {name: np.full(len(risks), present.get(name, np.nan)) for name in SIGNALS}
    return find_evidence(risks, signals if events is None else {**signals, "events_28d": events})


RISKS, EVENTS = np.array([0.02, 0.02, 0.02, 0.2]), np.array([2.0, 100.0, 110.0, 90.0])


def test_little_use_for_what_an_account_pays_is_evidence_as_much_as_the_risk():
    evidence = evidence_of(RISKS, EVENTS)
    assert evidence.is_little_used.tolist() == [True, False, False, False]
    assert evidence.total[0] > 0 > evidence.total[2]
    # Without use, or without anything to compare it with, the risk is all that is known.
    for unknown in (evidence_of(RISKS), evidence_of(RISKS, EVENTS, mrr=0.0, seats=0.0)):
        assert unknown.total.tolist() == unknown.risk.tolist()


def test_without_seats_the_use_is_compared_with_the_revenue():
    signals = {name: np.full(4, np.nan) for name in SIGNALS} | {"events_28d": np.full(4, 100.0)}
    by_revenue = find_evidence(RISKS, signals | {"mrr": np.array([9_000.0, 100.0, 90.0, 110.0])})
    assert by_revenue.is_little_used.tolist() == [True, False, False, False]


def test_the_use_is_the_mean_of_events_for_each_seat_and_of_the_seats_in_use():
    signals = {name: np.full(5, np.nan) for name in SIGNALS} | {"seats": np.full(5, 10.0)}
    equal, uneven = np.full(5, 100.0), np.array([0.1, 0.4, 0.5, 0.6, 0.9])
    evidence = find_evidence(np.full(5, 0.1), signals | {"events_28d": equal, "seat_utilisation_28d": uneven})
    logs = np.log(uneven + 0.01)
    expected = (logs - logs[2]) / ((logs[3] - logs[1]) / 1.349)
    assert evidence.use == pytest.approx(expected)


def test_no_use_at_all_counts_as_four_deviations():
    evidence = Evidence(np.array([0.0, 9.0, 9.0]), np.array([-14.0, 0.0, np.nan]))
    assert evidence.total == pytest.approx([4 * 2 / 3, 9 / 3, 9.0])


def disagreements_of(risks: np.ndarray, looks: np.ndarray, events: np.ndarray | None = None) -> np.ndarray:
    return find_disagreements(evidence_of(risks, events), looks, is_low=risks < 0.05)


def test_disagreements_are_above_zero_for_the_green_at_risk_and_below_for_the_red_that_are_safe():
    risks = np.array([0.5, 0.5, 0.001, 0.001, 0.02, 0.5])
    looks = np.array([1.0, -1.0, -1.0, 1.0, 1.0, np.nan])
    assert np.sign(disagreements_of(risks, looks)).tolist() == [1, 0, -1, 0, 0, 0]


def test_of_accounts_in_band_low_only_one_that_is_hardly_used_is_on_the_list_of_those_at_risk():
    risks, looks = np.array([0.04, 0.04, 0.001, 0.001, 0.001, 0.001]), np.ones(6)
    events = np.array([1.0, 100.0, 90.0, 105.0, 95.0, 110.0])
    assert np.sign(disagreements_of(risks, looks, events)).tolist() == [1, 0, 0, 0, 0, 0]


def test_the_greener_it_looks_and_the_higher_the_risk_the_larger():
    risks = np.concatenate([[0.5, 0.5, 0.2], np.linspace(0.01, 0.05, 50)])
    looks = np.concatenate([[1.0, 0.5, 1.0], np.zeros(50)])
    first, less_green, less_risk = disagreements_of(risks, looks)[:3]
    assert first > less_green > 0
    assert first > less_risk > 0
