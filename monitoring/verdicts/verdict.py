"""The verdict: one answer from everything that was checked, with its cause, its date, and what to do.

The first that applies counts: a broken source explains signals that moved, and wrong risks are worse than signals that
moved.
"""

import zlib
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import get_args

from monitoring.drift.detector import DriftReport
from monitoring.outcomes.e_detector import Finding, OutcomeEvidence
from monitoring.outcomes.plays import PlayEvidence
from monitoring.verdicts.wording import describe_bet, describe_drifted
from serving.ledger.monitor_runs import Subject
from serving.schemas.enums import HealthVerdict

EXIT_CODES: Mapping[HealthVerdict, int] = {
    "ok": 0,
    "population moved": 10,
    "cause changed: retrain": 11,
    "cannot tell yet": 12,
    "level moved: recalibrate": 14,
    "mend a source": 15,
    "plays work": 16,
}
RANKED: tuple[HealthVerdict, ...] = get_args(HealthVerdict)  # the worst first
ALARMS = RANKED[:-2]
ACKNOWLEDGE = 'find out why, then: oarlock monitor --acknowledge "population moved" --until DAY --because TEXT'
ONLINE_STORE = "online store"
SHOWN_SIGNALS = 3
SEPARATOR = ", "
SUBJECT_LENGTH, SHORTENED = 200, 160  # characters


@dataclass(frozen=True)
class SourceFault:
    """A table that broke, or a column of it, since which day, and what is wrong with it."""

    table: str
    since: datetime
    text: str
    column: str = ""

    @property
    def subject(self) -> str:
        """What is acknowledged: a column that is known to be at fault hides no fault of its table."""
        return f"{self.table}.{self.column}" if self.column else self.table


@dataclass(frozen=True)
class Checks:
    """What a run found: broken sources, signals that moved, outcomes, plays, and when the next answers are known."""

    as_of: datetime
    sources: Sequence[SourceFault]
    drift: DriftReport
    outcomes: OutcomeEvidence
    plays: PlayEvidence
    first_known_at: datetime | None
    next_known_at: datetime | None


@dataclass(frozen=True)
class HealthDecision:
    """The verdict with its cause, between which days it began, what waiting costs, and the command that acts.

    `subject` names what the verdict is about: a table, a bet, or all signals that moved. `tells_from` is the day from
    which on a verdict is expected, for `cannot tell yet`; None if it cannot be foreseen.
    """

    verdict: HealthVerdict
    cause: str
    subject: str = ""
    began_after: datetime | None = None
    began_before: datetime | None = None
    waiting: str = ""
    command: str = ""
    tells_from: datetime | None = None


def decide(checks: Checks, acknowledged: Collection[Subject] = ()) -> HealthDecision:
    """The first verdict that applies and that nobody has acknowledged."""
    for decision in _alarms(checks):
        if not is_acknowledged(decision.verdict, decision.subject, acknowledged):
            return decision
    return _ok(checks.outcomes) if checks.outcomes.is_conclusive else _cannot_tell(checks)


def is_acknowledged(verdict: HealthVerdict, subject: str, acknowledged: Collection[Subject]) -> bool:
    """Whether everything that a verdict is about is acknowledged: one more signal that moved is news.

    >>> is_acknowledged("population moved", "logins", [("population moved", "logins, seats")])
    True
    >>> is_acknowledged("population moved", "logins, tickets", [("population moved", "logins, seats")])
    False
    """
    names_acknowledged = {name for own, names in acknowledged if own == verdict for name in names.split(SEPARATOR)}
    return names_acknowledged.issuperset(subject.split(SEPARATOR))


def _alarms(checks: Checks) -> Iterator[HealthDecision]:
    if checks.sources:
        yield _mend(checks.sources, checks)
    if checks.outcomes.is_alarm and checks.outcomes.finding:
        yield _correct(checks.outcomes, checks.outcomes.finding)
    if checks.drift.is_alarm:
        yield _moved(checks.drift)
    if checks.plays.is_alarm:
        yield _plays_work(checks.plays)


def _mend(faults: Sequence[SourceFault], checks: Checks) -> HealthDecision:
    points = checks.drift.joint_points
    moved = "" if points is None else f"signals that moved changed the mean risk by {points:+.2f} points; "
    subjects = SEPARATOR.join(sorted({fault.subject for fault in faults}))
    since = min(fault.since for fault in faults)
    more = f"; and {len(faults) - SHOWN_SIGNALS} more" if len(faults) > SHOWN_SIGNALS else ""
    return HealthDecision(
        "mend a source",
        "; ".join(f"{fault.text} (since {fault.since:%Y-%m-%d})" for fault in faults[:SHOWN_SIGNALS]) + more,
        subject=subjects,
        began_after=since - timedelta(days=1),
        began_before=since,
        waiting=f"{moved}every risk that is served rests on a broken table",
        command=_name_mending({fault.table for fault in faults}, since),
    )


def _name_mending(broken: Collection[str], since: datetime) -> str:
    """The command that publishes again from a day on, after the tables are mended; it fills the online store anew.

    >>> _name_mending({"online store"}, datetime(2026, 3, 1))
    'oarlock publish --as-of 2026-03-01 --backfill-from 2026-03-01'
    >>> _name_mending({"online store", "usage"}, datetime(2026, 3, 1))
    'mend usage, then: oarlock publish --backfill-from 2026-03-01'
    """
    day = f"{since:%Y-%m-%d}"
    if tables := SEPARATOR.join(sorted(set(broken) - {ONLINE_STORE})):
        return f"mend {tables}, then: oarlock publish --backfill-from {day}"
    return f"oarlock publish --as-of {day} --backfill-from {day}"


def _correct(outcomes: OutcomeEvidence, finding: Finding) -> HealthDecision:
    is_level = finding.bet.cause == "level"
    return HealthDecision(
        "level moved: recalibrate" if is_level else "cause changed: retrain",
        describe_bet(finding.bet),
        subject=f"{finding.bet.cause} {finding.bet.name}".strip(),
        began_after=finding.began_after,
        began_before=finding.began_before,
        waiting=f"about {finding.log_loss_per_account:.4f} of log loss per account and cohort"
        f" ({outcomes.observed:.0f} left, {outcomes.expected:.1f} were expected)",
        command="oarlock recalibrate" if is_level else "oarlock train",
    )


def _moved(drift: DriftReport) -> HealthDecision:
    points = "no signal that the model reads" if drift.joint_points is None else f"{drift.joint_points:+.2f} points"
    return HealthDecision(
        "population moved",
        "; ".join(map(describe_drifted, drift.drifted[:SHOWN_SIGNALS])),
        subject=name_signals({signal.signal for signal in drift.drifted}),
        began_after=drift.before,
        began_before=drift.after,
        waiting=f"harmless until outcomes say otherwise; effect on the mean risk: {points}",
        command=ACKNOWLEDGE,
    )


def name_signals(names: Collection[str]) -> str:
    """All signals by name, or the first ones and a checksum of all, if the ledger has no room for more.

    >>> name_signals({"seats", "logins"})
    'logins, seats'
    """
    text = SEPARATOR.join(sorted(names))
    if len(text) <= SUBJECT_LENGTH:
        return text
    return (
        f"{text[:SHORTENED].rpartition(SEPARATOR)[0]}{SEPARATOR}{len(names)} in all ({zlib.crc32(text.encode()):08x})"
    )


def _plays_work(plays: PlayEvidence) -> HealthDecision:
    interval = "" if plays.ratio is None else f"{plays.ratio:.2f} [{plays.low:.2f}, {plays.high:.2f}]"
    return HealthDecision(
        "plays work",
        f"accounts with a play leave {interval} times as often as accounts whose play was held out",
        subject="plays",
        waiting="nothing",
        command="go on with plays, and with holding some out",
    )


def _ok(outcomes: OutcomeEvidence) -> HealthDecision:
    return HealthDecision("ok", f"{outcomes.observed:.0f} left, {outcomes.expected:.1f} were expected")


def _cannot_tell(checks: Checks) -> HealthDecision:
    outcomes = checks.outcomes
    if not outcomes.cohorts:
        return HealthDecision(
            "cannot tell yet", "no answer is known of a risk that was served", tells_from=checks.next_known_at
        )
    text = (
        f"{outcomes.observed:.0f} departures in {outcomes.cohorts} cohorts are too few to tell doubled odds from chance"
    )
    return HealthDecision("cannot tell yet", text, tells_from=_foresee(checks))


def _foresee(checks: Checks) -> datetime | None:
    """When doubled odds would be visible, if as many accounts are followed as until now."""
    if checks.first_known_at is None or checks.outcomes.visible <= 0:
        return checks.next_known_at
    followed_days = (checks.as_of - checks.first_known_at).days + 28
    return checks.as_of + timedelta(days=followed_days * (1 / checks.outcomes.visible - 1))
