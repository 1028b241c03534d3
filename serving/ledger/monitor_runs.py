"""The history of `oarlock monitor`: every verdict with its figures, and the verdicts that somebody acknowledged."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import NamedTuple, cast

import sqlalchemy as sql

from configs.clock import format_instant, parse_instant
from serving.ledger.schema import MONITOR_ACKNOWLEDGEMENTS, MONITOR_RUNS
from serving.schemas.enums import HealthVerdict

# What the figures of a run mean; a page shows another figure by its name.
FIGURE_MEANINGS: Mapping[str, str] = {
    "outcome_evidence": "evidence of outcomes",
    "outcome_threshold": "alarm level of outcomes",
    "outcome_power": "evidence that doubled odds of leaving would have brought, as a share of what is needed",
    "departures_observed": "accounts that left",
    "departures_expected": "accounts that were expected to leave",
    "drifted_signals": "signals that moved",
    "drift_effect_points": "effect of moved signals on the mean risk, in points",
    "drift_smallest_visible": "smallest visible shift of a median signal, in ranks from 0 to 1",
    "drift_tests": "tests of signals",
    "play_evidence": "evidence of plays",
    "play_threshold": "alarm level of plays",
    "broken_sources": "broken tables",
    "estimated_accounts": "accounts with an open risk",
    "estimated_churned": "accounts expected to leave, of those with an open risk",
    "estimated_churned_low": "the same, at least",
    "estimated_churned_high": "the same, at most",
    "estimated_log_loss": "expected log loss of open risks",
    "estimated_log_loss_low": "the same, at least",
    "estimated_log_loss_high": "the same, at most",
    "estimated_auc": "expected AUC of open risks",
    "estimated_auc_low": "the same, at least",
    "estimated_auc_high": "the same, at most",
    "estimate_void": "1 if the estimate is void",
    "early_factor": "hazard by early departures, as a multiple of what risks say",
}
Subject = tuple[HealthVerdict, str]  # a verdict, and what it is about


class BrokenSource(NamedTuple):
    """A table that was named as broken, since which day, and what is wrong with it."""

    table: str
    since: datetime
    text: str


class Acknowledgement(NamedTuple):
    """A verdict that is known until a day, and why."""

    verdict: HealthVerdict
    subject: str
    until: datetime
    because: str


@dataclass(frozen=True)
class MonitorRun:
    """A run as it was stored: when, of which day and champion, its decision, and the figures behind it.

    `checks` says of each check, by its name, what was compared and what could not have been seen. A figure is absent if
    it is undefined. `registered` is the version that was registered because of the verdict.
    """

    run_at: datetime
    as_of: datetime
    version: int
    verdict: HealthVerdict
    subject: str
    cause: str
    began_after: datetime | None
    began_before: datetime | None
    figures: Mapping[str, float]
    waiting: str = ""
    command: str = ""
    tells_from: datetime | None = None
    sources: tuple[BrokenSource, ...] = ()
    checks: Mapping[str, str] = field(default_factory=dict[str, str])
    registered: int | None = None


@dataclass(frozen=True)
class RunStore:
    """The runs and acknowledgements in the database of the ledger."""

    database: sql.Engine

    def save(self, run: MonitorRun) -> None:
        """Add a run; earlier runs of the same day stay."""
        sources = [{**source._asdict(), "since": format_instant(source.since)} for source in run.sources]
        texts = {
            "figures": json.dumps(dict(run.figures)),
            "sources": json.dumps(sources),
            "checks": json.dumps(dict(run.checks)),
        }
        with self.database.begin() as connection:
            connection.execute(MONITOR_RUNS.insert().values({**vars(run), **texts}))

    def record_registered(self, run: MonitorRun, version: int) -> None:
        """Store which version was registered because of the verdict of a run."""
        is_run = (MONITOR_RUNS.c.run_at == run.run_at) & (MONITOR_RUNS.c.as_of == run.as_of)
        with self.database.begin() as connection:
            connection.execute(MONITOR_RUNS.update().where(is_run).values(registered=version))

    def acted(self) -> list[MonitorRun]:
        """The runs whose verdict led to a new version, oldest first, since the last one that was no alarm."""
        quiet = sql.select(sql.func.max(MONITOR_RUNS.c.id)).where(MONITOR_RUNS.c.verdict.in_(("ok", "cannot tell yet")))
        is_later = MONITOR_RUNS.c.id > sql.func.coalesce(quiet.scalar_subquery(), 0)
        query = sql.select(MONITOR_RUNS).where(MONITOR_RUNS.c.registered.is_not(None), is_later)
        with self.database.connect() as connection:
            return [_to_run(row) for row in connection.execute(query.order_by(MONITOR_RUNS.c.id)).mappings()]

    def since(self, day: datetime) -> list[MonitorRun]:
        """The last run of each day from `day` on, oldest first."""
        last = sql.select(sql.func.max(MONITOR_RUNS.c.id)).group_by(MONITOR_RUNS.c.as_of)
        query = sql.select(MONITOR_RUNS).where(MONITOR_RUNS.c.as_of >= day, MONITOR_RUNS.c.id.in_(last))
        with self.database.connect() as connection:
            return [_to_run(row) for row in connection.execute(query.order_by(MONITOR_RUNS.c.as_of)).mappings()]

    def all(self) -> list[MonitorRun]:
        """Every run, oldest first."""
        with self.database.connect() as connection:
            rows = connection.execute(sql.select(MONITOR_RUNS).order_by(MONITOR_RUNS.c.id)).mappings()
            return [_to_run(row) for row in rows]

    def last(self) -> MonitorRun | None:
        """The newest run; None if there was none."""
        query = sql.select(MONITOR_RUNS).order_by(MONITOR_RUNS.c.id.desc()).limit(1)
        with self.database.connect() as connection:
            row = connection.execute(query).mappings().first()
        return None if row is None else _to_run(row)

    def started_since(self, instant: datetime) -> tuple[MonitorRun | None, list[MonitorRun]]:
        """Every run that started at an instant or later, oldest first, and the run before them if there was one."""
        started = MONITOR_RUNS.c.run_at
        earlier = sql.select(MONITOR_RUNS).where(started < instant).order_by(MONITOR_RUNS.c.id.desc()).limit(1)
        later = sql.select(MONITOR_RUNS).where(started >= instant).order_by(MONITOR_RUNS.c.id)
        with self.database.connect() as connection:
            before = connection.execute(earlier).mappings().first()
            runs = [_to_run(row) for row in connection.execute(later).mappings()]
            return None if before is None else _to_run(before), runs

    def count_by_verdict(self) -> dict[HealthVerdict, int]:
        """How many runs ended with each verdict."""
        query = sql.select(MONITOR_RUNS.c.verdict, sql.func.count()).group_by(MONITOR_RUNS.c.verdict)
        with self.database.connect() as connection:
            return {cast(HealthVerdict, verdict): count for verdict, count in connection.execute(query)}

    def acknowledge(self, run: MonitorRun, until: datetime, because: str, *, at: datetime) -> None:
        """The verdict of a run is known until a day: it is not repeated before that."""
        values = {"verdict": run.verdict, "subject": run.subject, "until": until, "because": because}
        with self.database.begin() as connection:
            connection.execute(MONITOR_ACKNOWLEDGEMENTS.insert().values(acknowledged_at=at, **values))

    def acknowledgements(self, on: datetime) -> list[Acknowledgement]:
        """What is acknowledged on a day, the earliest end first."""
        columns = MONITOR_ACKNOWLEDGEMENTS.c
        query = sql.select(*(columns[name] for name in Acknowledgement._fields)).where(columns.until > on)
        with self.database.connect() as connection:
            return [Acknowledgement(*row) for row in connection.execute(query.order_by(columns.until))]

    def acknowledged(self, on: datetime) -> frozenset[Subject]:
        """The verdicts that are acknowledged on a day, with what they are about."""
        return frozenset((entry.verdict, entry.subject) for entry in self.acknowledgements(on))


def _to_run(row: sql.RowMapping) -> MonitorRun:
    sources = [
        BrokenSource(**{**source, "since": parse_instant(source["since"])}) for source in json.loads(row["sources"])
    ]
    return MonitorRun(
        **{name: row[name] for name in row if name not in ("id", "figures", "sources", "checks")},
        figures=json.loads(row["figures"]),
        sources=tuple(sources),
        checks=json.loads(row["checks"]),
    )
