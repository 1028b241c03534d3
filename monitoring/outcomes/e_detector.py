"""The outcome detector: bets on cohorts, added up so that a change at any time is found, whenever it is looked at.

Each bet is a Shiryaev-Roberts e-detector: M <- (M + 1) * gain (Shin, Ramdas & Rinaldo, 2022). Where the risks are right
within what is tolerated, M is expected to grow by at most 1 a step. So a threshold of the steps of a year over the
budget is crossed once in so many years, for any number of accounts and however often it is looked at.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import groupby

import numpy as np
from scipy.special import expit, logsumexp

from monitoring.evidence.budget import critical_value, yearly_budget
from monitoring.evidence.e_values import to_e_value
from monitoring.outcomes.bets import Bet, Cohort, Doubt, FloatArray, bet_weights, make_bets

STEPS_PER_YEAR = 53  # cohorts of one calendar week are one step
INTERVAL = 0.9
DOUBLED = float(np.log(2))


@dataclass(frozen=True)
class Finding:
    """What the evidence points to: the bet, and between which days the change began, in nine of ten cases."""

    bet: Bet
    began_after: datetime
    began_before: datetime
    log_loss_per_account: float


@dataclass(frozen=True)
class OutcomeEvidence:
    """The evidence of outcomes against the served risks.

    `evidence` is the e-value of all bets together and `threshold` where an alarm is raised; `by_cause` has the evidence
    of each cause. `visible` is the share of the evidence that doubled odds of leaving would have brought by now.
    """

    cohorts: int
    accounts: int
    observed: float
    expected: float
    evidence: float
    threshold: float
    by_cause: Mapping[str, float]
    visible: float
    finding: Finding | None

    @property
    def is_alarm(self) -> bool:
        return self.evidence >= self.threshold

    @property
    def is_conclusive(self) -> bool:
        """Whether doubled odds of leaving would have been seen by now."""
        return self.visible >= 1


def alarm_threshold(false_alarms_per_year: float) -> float:
    """The evidence from which on an alarm is raised; half of the budget is left for a champion unlucky at birth.

    >>> round(alarm_threshold(0.05))
    8480
    """
    return STEPS_PER_YEAR / (yearly_budget(false_alarms_per_year) / 2)


def tolerated_deviations(false_alarms_per_year: float) -> float:
    """How many standard deviations a champion's own level may be off.

    >>> round(tolerated_deviations(0.05), 2)
    2.73
    """
    return critical_value(yearly_budget(false_alarms_per_year) / 4)


def judge_cohorts(
    cohorts: Sequence[Cohort], doubts: Mapping[int, Doubt], false_alarms_per_year: float
) -> OutcomeEvidence:
    """The evidence of these cohorts, by the doubt about the level of each version."""
    threshold = alarm_threshold(false_alarms_per_year)
    weeks = _by_week(cohorts)
    bets, weights = make_bets(cohorts), bet_weights(make_bets(cohorts))
    steps = np.array([[_gain(bet, week, doubts) for bet in bets] for week in weeks]).reshape(len(weeks), len(bets))
    log_detectors = _shiryaev_roberts(steps)
    weighted = log_detectors + np.log(weights)
    return OutcomeEvidence(
        cohorts=len(cohorts),
        accounts=sum(len(cohort.risks) for cohort in cohorts),
        observed=sum(float(cohort.churned.sum()) for cohort in cohorts),
        expected=sum(float(cohort.risks.sum()) for cohort in cohorts),
        evidence=to_e_value(float(logsumexp(weighted))) if weeks else 0.0,
        threshold=threshold,
        by_cause=_by_cause(bets, weighted) if weeks else {},
        visible=_expected_growth(cohorts, doubts) / np.log(threshold / weights[0]) if weeks else 0.0,
        finding=_lead(bets, weighted, steps, weeks) if weeks else None,
    )


def _by_week(cohorts: Sequence[Cohort]) -> list[list[Cohort]]:
    ordered = sorted(cohorts, key=lambda cohort: (cohort.started, cohort.version))
    return [list(week) for _, week in groupby(ordered, key=lambda cohort: cohort.started.isocalendar()[:2])]


def _gain(bet: Bet, week: Sequence[Cohort], doubts: Mapping[int, Doubt]) -> float:
    return sum(bet.log_ratio(cohort, doubts[cohort.version]) for cohort in week)


def _shiryaev_roberts(steps: FloatArray) -> FloatArray:
    """The log of each bet's detector after all steps."""
    log_detector = np.full(steps.shape[1], -np.inf)
    for step in steps:
        log_detector = np.logaddexp(log_detector, 0.0) + step
    return log_detector


def _by_cause(bets: Sequence[Bet], weighted: FloatArray) -> dict[str, float]:
    names = [f"{bet.cause} {bet.name}".strip() for bet in bets]
    return {
        name: to_e_value(float(logsumexp([value for own, value in zip(names, weighted, strict=True) if own == name])))
        for name in dict.fromkeys(names)
    }


def _lead(bets: Sequence[Bet], weighted: FloatArray, steps: FloatArray, weeks: Sequence[Sequence[Cohort]]) -> Finding:
    leading = int(np.argmax(weighted))
    # What each start of a change adds to the detector is its weight of evidence.
    from_start = np.cumsum(steps[::-1, leading])[::-1]
    share = np.cumsum(np.exp(from_start - logsumexp(from_start)))
    first, last = (int(np.searchsorted(share, tail)) for tail in ((1 - INTERVAL) / 2, (1 + INTERVAL) / 2))
    days = [week[0].started for week in weeks]
    # A change between two cohorts shows in the second.
    began_after = days[first - 1] if first > 0 else days[0] - timedelta(days=7)
    start = int(np.argmax(from_start))
    accounts = sum(len(cohort.risks) for week in weeks[start:] for cohort in week)
    return Finding(
        bets[leading], began_after, days[min(last, len(days) - 1)], float(from_start[start]) / max(accounts, 1)
    )


def _expected_growth(cohorts: Sequence[Cohort], doubts: Mapping[int, Doubt]) -> float:
    """How much evidence (log) doubled odds of leaving would have brought in these cohorts, at best."""
    return sum(_doubled_growth(cohort, doubts[cohort.version].level) for cohort in cohorts)


def _doubled_growth(cohort: Cohort, tolerated: float) -> float:
    doubled, null = cohort.log_odds + max(DOUBLED, tolerated + 0.3), cohort.log_odds + tolerated
    risks = expit(doubled)
    growth = risks * np.log(risks / expit(null)) + (1 - risks) * np.log(expit(-doubled) / expit(-null))
    return float(growth.sum())
