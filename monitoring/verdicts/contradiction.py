"""Contradiction: what makes the estimated performance void, and since when."""

from dataclasses import replace

from monitoring.outcomes.estimate import PerformanceEstimate
from monitoring.verdicts.latch import OUTCOME_VERDICTS
from monitoring.verdicts.verdict import Checks, HealthDecision
from monitoring.verdicts.wording import describe_bet


def void_if_contradicted(
    estimate: PerformanceEstimate, checks: Checks, decision: HealthDecision
) -> PerformanceEstimate:
    """The estimate, void if a source is broken or outcomes say that the risks are wrong, also in an earlier run.

    An alarm that somebody acknowledged contradicts it all the same.
    """
    finding = checks.outcomes.finding
    if checks.outcomes.is_alarm and finding:
        return replace(estimate, void_since=finding.began_before, void_because=describe_bet(finding.bet))
    if checks.sources:
        first = min(checks.sources, key=lambda fault: fault.since)
        return replace(estimate, void_since=first.since, void_because=first.text)
    if decision.verdict in OUTCOME_VERDICTS:
        since = decision.began_before or checks.as_of
        return replace(estimate, void_since=since, void_because=decision.cause)
    return estimate
