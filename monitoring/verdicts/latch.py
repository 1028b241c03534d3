"""The latch: an alarm of an earlier run stays until somebody acts on it, or evidence withdraws it."""

from collections.abc import Mapping, Sequence

from monitoring.verdicts.verdict import ACKNOWLEDGE, RANKED, HealthDecision
from serving.ledger.monitor_runs import MonitorRun
from serving.schemas.enums import HealthVerdict


def latch(decision: HealthDecision, runs: Sequence[MonitorRun], version: int, evidence: float) -> HealthDecision:
    """The decision, or an earlier alarm that is worse, that nobody acted on and that no evidence withdrew.

    A verdict on the risks is acted on by another champion and withdrawn if the evidence falls below 1. Runs are oldest
    first; what is acknowledged must not be among them.
    """
    lasting = [run for run in runs if run.verdict not in PASSING_VERDICTS]
    alarm = lasting[-1] if lasting else None
    if alarm is None or alarm.version != version or RANKED.index(alarm.verdict) >= RANKED.index(decision.verdict):
        return decision
    is_outcome = alarm.verdict in OUTCOME_VERDICTS
    if is_outcome and (evidence < 1 or decision.verdict in OUTCOME_VERDICTS):
        return decision
    if not is_outcome and alarm.verdict != "population moved":
        return decision
    return HealthDecision(
        alarm.verdict,
        _once(alarm.cause),
        subject=alarm.subject,
        began_after=alarm.began_after,
        began_before=alarm.began_before,
        waiting=alarm.waiting,
        command=COMMANDS[alarm.verdict],
    )


def restart_after(runs: Sequence[MonitorRun], version: int) -> int:
    """The last version whose outcomes led to an alarm that another champion acted on; 0 if there is none.

    What it and other earlier versions served is not held against the new champion.
    """
    blamed = [run.version for run in runs if run.verdict in OUTCOME_VERDICTS and run.version != version]
    return max(blamed, default=0)


def _once(cause: str) -> str:
    return cause if cause.endswith(LATCHED) else f"{cause}{LATCHED}"


LATCHED = " (of an earlier run; nobody has acted on it)"
OUTCOME_VERDICTS: frozenset[HealthVerdict] = frozenset({"level moved: recalibrate", "cause changed: retrain"})
PASSING_VERDICTS: frozenset[HealthVerdict] = frozenset({"mend a source", "plays work"})  # an alarm before them stays
COMMANDS: Mapping[HealthVerdict, str] = {
    "level moved: recalibrate": "oarlock recalibrate",
    "cause changed: retrain": "oarlock train",
    "population moved": ACKNOWLEDGE,
}
