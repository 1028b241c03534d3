"""The history of runs: every verdict with its figures, and the verdicts that somebody acknowledged until a day."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import cast

import sqlalchemy as sql

from monitoring.verdicts.verdict import ACKNOWLEDGE, RANKED, HealthDecision, Subject, Verdict
from serving.ledger.schema import MONITOR_ACKNOWLEDGEMENTS, MONITOR_RUNS


@dataclass(frozen=True)
class MonitorRun:
    """A run as it was stored: when, of which day and champion, its decision and the figures behind it."""

    run_at: datetime
    as_of: datetime
    version: int
    verdict: Verdict
    subject: str
    cause: str
    began_after: datetime | None
    began_before: datetime | None
    figures: Mapping[str, float]


@dataclass(frozen=True)
class RunStore:
    """The runs and acknowledgements in the database of the ledger."""

    database: sql.Engine

    def save(self, run: MonitorRun) -> None:
        """Add a run; earlier runs of the same day stay."""
        values = {**vars(run), "figures": json.dumps(dict(run.figures))}
        with self.database.begin() as connection:
            connection.execute(MONITOR_RUNS.insert().values(**values))

    def since(self, day: datetime) -> list[MonitorRun]:
        """The last run of each day from `day` on, oldest first."""
        last = sql.select(sql.func.max(MONITOR_RUNS.c.id)).group_by(MONITOR_RUNS.c.as_of)
        query = sql.select(MONITOR_RUNS).where(MONITOR_RUNS.c.as_of >= day, MONITOR_RUNS.c.id.in_(last))
        with self.database.connect() as connection:
            return [_to_run(row) for row in connection.execute(query.order_by(MONITOR_RUNS.c.as_of)).mappings()]

    def last(self) -> MonitorRun | None:
        """The newest run; None if there was none."""
        query = sql.select(MONITOR_RUNS).order_by(MONITOR_RUNS.c.id.desc()).limit(1)
        with self.database.connect() as connection:
            row = connection.execute(query).mappings().first()
        return None if row is None else _to_run(row)

    def acknowledge(self, run: MonitorRun, until: datetime, because: str, *, at: datetime) -> None:
        """The verdict of a run is known until a day: it is not repeated before that."""
        values = {"verdict": run.verdict, "subject": run.subject, "until": until, "because": because}
        with self.database.begin() as connection:
            connection.execute(MONITOR_ACKNOWLEDGEMENTS.insert().values(acknowledged_at=at, **values))

    def acknowledged(self, on: datetime) -> frozenset[Subject]:
        """The verdicts that are acknowledged on a day, with what they are about."""
        columns = MONITOR_ACKNOWLEDGEMENTS.c
        query = sql.select(columns.verdict, columns.subject).where(columns.until > on)
        with self.database.connect() as connection:
            return frozenset((cast(Verdict, row.verdict), row.subject) for row in connection.execute(query))


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


def _to_run(row: sql.RowMapping) -> MonitorRun:
    return MonitorRun(
        **{name: row[name] for name in row if name not in ("id", "figures")}, figures=json.loads(row["figures"])
    )


LATCHED = " (of an earlier run; nobody has acted on it)"
OUTCOME_VERDICTS: frozenset[Verdict] = frozenset({"level moved: recalibrate", "cause changed: retrain"})
PASSING_VERDICTS: frozenset[Verdict] = frozenset({"mend a source", "plays work"})  # an alarm before them stays
COMMANDS: Mapping[Verdict, str] = {
    "level moved: recalibrate": "oarlock recalibrate",
    "cause changed: retrain": "oarlock train",
    "population moved": ACKNOWLEDGE,
}
