"""The metrics of `oarlock monitor`: the newest run that is stored, and how many runs ended with each verdict."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import get_args

import sqlalchemy as sql

from serving.ledger.monitor_runs import Acknowledgement, MonitorRun, RunStore
from serving.schemas.enums import HealthVerdict
from serving.telemetry.metrics import MetricFamily, Sample

VERDICT = MetricFamily(
    "oarlock_monitor_verdict", "1 for the verdict of the newest run, 0 for the others.", ("verdict",)
)
RUN_AGE = MetricFamily("oarlock_monitor_run_age_seconds", "Time since the newest run.")
EVIDENCE = MetricFamily("oarlock_monitor_evidence", "Evidence that something changed, an e-value.", ("detector",))
ALARM_LEVEL = MetricFamily("oarlock_monitor_alarm_level", "The evidence from which on it is an alarm.", ("detector",))
FIGURE = MetricFamily("oarlock_monitor_figure", "Each figure behind the newest verdict.", ("figure",))
BROKEN_SOURCE = MetricFamily("oarlock_monitor_broken_source", "1 for each table named as broken.", ("table",))
ACKNOWLEDGED = MetricFamily("oarlock_monitor_acknowledged", "1 for each verdict that is acknowledged.", ("verdict",))
RUNS = MetricFamily("oarlock_monitor_runs", "Stored runs by their verdict.", ("verdict",), is_counter=True)
MONITOR_METRICS = (VERDICT, RUN_AGE, EVIDENCE, ALARM_LEVEL, FIGURE, BROKEN_SOURCE, ACKNOWLEDGED, RUNS)
VERDICTS: tuple[HealthVerdict, ...] = get_args(HealthVerdict)
EVIDENCE_SUFFIX, ALARM_LEVEL_SUFFIX = "_evidence", "_threshold"


@dataclass(frozen=True)
class MonitorSnapshot:
    """The newest run, what is acknowledged on its day, and the number of runs by verdict."""

    run: MonitorRun
    acknowledged: tuple[Acknowledgement, ...]
    runs_by_verdict: Mapping[HealthVerdict, int]


def read_monitor(engine: sql.Engine) -> MonitorSnapshot | None:
    """The newest run in the ledger's database; None if there was none."""
    store = RunStore(engine)
    run = store.last()
    if run is None:
        return None
    return MonitorSnapshot(run, tuple(store.acknowledgements(run.as_of)), store.count_by_verdict())


def monitor_values(snapshot: MonitorSnapshot, at: datetime) -> list[Sample]:
    """The metrics at an instant."""
    run = snapshot.run
    return [
        Sample(VERDICT, {(verdict,): float(verdict == run.verdict) for verdict in VERDICTS}),
        Sample(RUN_AGE, {(): (at - run.run_at).total_seconds()}),
        Sample(EVIDENCE, by_detector(run.figures, EVIDENCE_SUFFIX)),
        Sample(ALARM_LEVEL, by_detector(run.figures, ALARM_LEVEL_SUFFIX)),
        Sample(FIGURE, {(name,): value for name, value in run.figures.items()}),
        Sample(BROKEN_SOURCE, {(source.table,): 1.0 for source in run.sources}),
        Sample(ACKNOWLEDGED, {(entry.verdict,): 1.0 for entry in snapshot.acknowledged}),
        Sample(RUNS, {(verdict,): float(snapshot.runs_by_verdict.get(verdict, 0)) for verdict in VERDICTS}),
    ]


def by_detector(figures: Mapping[str, float], suffix: str) -> dict[tuple[str, ...], float]:
    """The figures whose name is a detector's with this suffix, by the detector.

    >>> by_detector({"outcome_evidence": 3.5, "outcome_threshold": 8480.0, "drift_tests": 90.0}, "_evidence")
    {('outcome',): 3.5}
    """
    return {(name.removesuffix(suffix),): value for name, value in figures.items() if name.endswith(suffix)}
