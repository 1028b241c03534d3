"""The outcome detector on simulated cohorts: no alarm where risks are right within doubt, and what it finds."""

from collections.abc import Callable
from datetime import datetime, timedelta

import numpy as np
import pytest
from scipy.special import expit

from monitoring.outcomes.bets import Bet, Cohort, Doubt, FloatArray
from monitoring.outcomes.e_detector import OutcomeEvidence, judge_cohorts, tolerated_deviations

START = datetime(2024, 1, 1)
BUDGET = 0.05
DOUBT = Doubt(departures=200, drift_sd=0.0, segment_sd=0.2, critical=tolerated_deviations(BUDGET))
FAMILIES = ("adoption", "support", "value")
Truth = Callable[[FloatArray, dict[str, FloatArray], FloatArray, int], FloatArray]


def as_served(log_odds: FloatArray, *_: object) -> FloatArray:
    return log_odds


def simulate_cohorts(accounts: int, months: int, seed: int, truth: Truth = as_served) -> list[Cohort]:
    """Monthly cohorts at about 2 % a month; `truth` turns the served log-odds into the true ones."""
    generator = np.random.default_rng(seed)
    cohorts: list[Cohort] = []
    for month in range(months):
        families = {family: 0.6 * generator.normal(size=accounts) for family in FAMILIES}
        large = (np.arange(accounts) % 2).astype("float64")
        log_odds = -4.4 + sum(families.values(), np.zeros(accounts))
        left = generator.random(accounts) < expit(truth(log_odds, families, large, month))
        segments = np.where(large > 0, "large", "small")
        day = START + timedelta(days=28 * month)
        cohorts.append(Cohort(day, 1, expit(log_odds), left.astype("float64"), families, segments))
    return cohorts


def judge(cohorts: list[Cohort]) -> OutcomeEvidence:
    return judge_cohorts(cohorts, {1: DOUBT}, BUDGET)


def cause(evidence: OutcomeEvidence) -> tuple[str, str, int]:
    assert evidence.is_alarm
    assert evidence.finding is not None
    bet = evidence.finding.bet
    return bet.cause, bet.name, bet.sign


@pytest.mark.parametrize("accounts", [100, 600])
def test_right_risks_raise_no_alarm(accounts):
    assert not any(judge(simulate_cohorts(accounts, 13, seed)).is_alarm for seed in range(5))


def test_a_family_that_says_nothing_any_more_is_named_though_the_level_is_in_doubt():
    """Fewer leave then, too; the bet on the family must not pay for the level, which may be off."""

    def without_support(log_odds: FloatArray, families: dict[str, FloatArray], *_: object) -> FloatArray:
        return log_odds - families["support"]

    little_known = Doubt(departures=80, drift_sd=0.1, segment_sd=0.2, critical=DOUBT.critical)
    cohorts = simulate_cohorts(10_000, 4, 0, without_support)
    assert cause(judge_cohorts(cohorts, {1: little_known}, BUDGET)) == ("family", "support", -1)


@pytest.mark.parametrize("shift", [-0.2, 0.2])
def test_a_level_within_what_is_tolerated_raises_no_alarm(shift):
    def shifted(log_odds: FloatArray, *_: object) -> FloatArray:
        return log_odds + shift

    assert not any(judge(simulate_cohorts(1_000, 13, seed, shifted)).is_alarm for seed in range(3))


def test_tripled_odds_are_a_matter_of_level():
    def tripled(log_odds: FloatArray, _: object, __: object, month: int) -> FloatArray:
        return log_odds + np.log(3) * (month >= 6)

    evidence = judge(simulate_cohorts(2_000, 11, 1, tripled))
    assert cause(evidence) == ("level", "", 1)
    assert evidence.finding is not None
    changed = START + timedelta(days=28 * 6)
    assert evidence.finding.began_after < changed <= evidence.finding.began_before


def test_a_family_that_lost_its_weight_is_named():
    def without_support(log_odds: FloatArray, families: dict[str, FloatArray], *_: object) -> FloatArray:
        return log_odds - families["support"]

    assert cause(judge(simulate_cohorts(12_000, 13, 1, without_support))) == ("family", "support", -1)


def test_a_segment_that_leaves_more_is_named():
    def large_leave(log_odds: FloatArray, _: object, large: FloatArray, __: int) -> FloatArray:
        return log_odds + 1.5 * large - 0.9 * (1 - large)

    name = cause(judge(simulate_cohorts(4_000, 13, 1, large_leave)))
    assert name[0] == "segment"


@pytest.mark.parametrize("bet", [Bet("level", "", 1, 1), Bet("slope", "", -1, 1), Bet("family", "value", 1, 0)])
@pytest.mark.parametrize("shift", [-DOUBT.level, 0.0, DOUBT.level])
def test_a_bet_gains_nothing_on_average_where_the_level_is_tolerated(bet: Bet, shift):
    def shifted(log_odds: FloatArray, *_: object) -> FloatArray:
        return log_odds + shift

    gains = [np.exp(bet.log_ratio(simulate_cohorts(150, 1, seed, shifted)[0], DOUBT)) for seed in range(400)]
    assert np.mean(gains) <= 1 + 3 * np.std(gains) / np.sqrt(len(gains))


def test_doubt_shrinks_with_the_departures_behind_a_level():
    doubts = [Doubt(departures, 0.1, 0.2, critical=2.73) for departures in (20, 80, 1_000)]
    assert [round(doubt.level, 2) for doubt in doubts] == [0.67, 0.41, 0.29]
    assert doubts[0].segment_level > doubts[0].level


def test_few_cohorts_could_not_have_shown_doubled_odds():
    assert not judge(simulate_cohorts(1_000, 2, 1)).is_conclusive
    assert judge(simulate_cohorts(10_000, 4, 1)).is_conclusive


def test_nothing_served_is_no_evidence():
    evidence = judge([])
    assert (evidence.evidence, evidence.is_alarm, evidence.is_conclusive, evidence.finding) == (0.0, False, False, None)
