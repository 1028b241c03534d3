"""Health: can the risks that are served still be trusted? One verdict from drift, outcomes and plays."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from configs.progress import Progress
from configs.settings import Settings
from configs.state_dir import StateDir
from features.online.online_store import open_online_reader
from features.store.publication import read_publication
from monitoring.drift.panel import detect_panel_drift, open_panel
from monitoring.outcomes.bets import Cohort, Doubt
from monitoring.outcomes.cohorts import days_until_known
from monitoring.outcomes.e_detector import judge_cohorts, tolerated_deviations
from monitoring.outcomes.estimate import PerformanceEstimate, estimate_performance
from monitoring.outcomes.known_outcomes import KnownOutcomes, OutcomeStore
from monitoring.outcomes.plays import judge_plays
from monitoring.outcomes.summary import GroupOutcome, compare_groups
from monitoring.served_values import ServedValues, check_served_values, describe_served, served_fault
from monitoring.sources.broken_sources import find_broken_sources
from monitoring.verdicts.contradiction import void_if_contradicted
from monitoring.verdicts.latch import latch, restart_after
from monitoring.verdicts.verdict import Checks, HealthDecision, decide, is_acknowledged
from monitoring.verdicts.wording import describe_drift, describe_estimate, describe_outcomes, describe_plays
from serving.ledger.ledger import open_ledger
from serving.ledger.monitor_runs import BrokenSource, MonitorRun, RunStore
from serving.scoring.champion import ChampionProvider
from serving.scoring.signal_lookup import require_signals
from training.registry.version import Version

FIRST_DAY = datetime(1970, 1, 1)


@dataclass(frozen=True)
class HealthReport:
    """The verdict on what is served, and everything that was checked.

    `groups` are the outcomes of groups, `served` is how the online store compares with the history. `estimate` is the
    performance that is expected of risks whose answers are open, None if there are none. `has_new_answers` says if the
    data set was opened for answers that were not known before.
    """

    version: Version
    decision: HealthDecision
    checks: Checks
    groups: tuple[GroupOutcome, ...]
    served: ServedValues
    estimate: PerformanceEstimate | None
    has_new_answers: bool


def check_health(settings: Settings, state: StateDir, known_until: datetime, progress: Progress) -> HealthReport:
    """Judge the newest published day, and every risk that was served and whose answer is known by `known_until`.

    An alarm of an earlier run stays until somebody acts on it, acknowledges it, or evidence withdraws it.
    Raises NoChampion or NotReady if there is nothing to judge, Busy if served values change under it by a publish.
    """
    champion = ChampionProvider(state, settings.name).champion()
    version, publication = champion.version, read_publication(state)
    require_signals(champion.model, open_online_reader(state).views().columns)
    as_of, budget = datetime.fromisoformat(publication["as_of"]), settings.monitoring.false_alarms_per_year
    progress("comparing days", 0, 2)
    panel = open_panel(state, publication, champion.model, version.number)
    drift = detect_panel_drift(panel, as_of, budget)
    progress("comparing outcomes", 1, 2)
    ledger = open_ledger(settings, state)
    outcomes = OutcomeStore(settings, state, ledger).read(known_until)
    followed = outcomes.followed
    store = RunStore(ledger.engine)
    runs = [run for run in store.since(FIRST_DAY) if run.as_of <= as_of]
    restart = restart_after(runs, version.number)
    # After a rollback the champion is older than the version that it replaced; its own cohorts still count.
    cohorts = [cohort for cohort in followed.cohorts() if cohort.version > restart or cohort.version == version.number]
    doubts = {number: _doubt(settings, outcomes, number) for number in {cohort.version for cohort in cohorts}}
    served = check_served_values(state, (panel.history, as_of), known_until)
    checks = Checks(
        as_of=as_of,
        sources=(*served_fault(served), *find_broken_sources(panel.history, state, as_of, budget)),
        drift=drift,
        outcomes=judge_cohorts(cohorts, doubts, budget),
        plays=judge_plays(followed.rows, budget),
        first_known_at=_first_known_at(cohorts, settings),
        next_known_at=followed.next_known_at,
    )
    progress("judged", 2, 2)
    acknowledged = store.acknowledged(as_of)
    unknown = [run for run in runs if not is_acknowledged(run.verdict, run.subject, acknowledged)]
    decision = latch(decide(checks, acknowledged), unknown, version.number, checks.outcomes.evidence)
    estimate = estimate_performance(outcomes.open_risks, _doubt(settings, outcomes, version.number), outcomes.early)
    return HealthReport(
        version=version,
        decision=decision,
        checks=checks,
        groups=compare_groups(followed.rows),
        served=served,
        estimate=estimate and void_if_contradicted(estimate, checks, decision),
        has_new_answers=outcomes.are_new,
    )


def run_of(report: HealthReport, run_at: datetime) -> MonitorRun:
    """A report as it is stored."""
    decision = report.decision
    return MonitorRun(
        run_at=run_at,
        as_of=report.checks.as_of,
        version=report.version.number,
        verdict=decision.verdict,
        subject=decision.subject,
        cause=decision.cause,
        began_after=decision.began_after,
        began_before=decision.began_before,
        figures=key_figures(report),
        waiting=decision.waiting,
        command=decision.command,
        tells_from=decision.tells_from,
        sources=tuple(BrokenSource(fault.table, fault.since, fault.text) for fault in report.checks.sources),
        checks=describe_checks(report),
    )


def describe_checks(report: HealthReport) -> Mapping[str, str]:
    """What each check compared and what it could not have seen, in a sentence, by the name of the check."""
    checks = report.checks
    return {
        "drift": describe_drift(checks.drift),
        "outcomes": describe_outcomes(checks.outcomes),
        "plays": describe_plays(checks.plays),
        "before answers": describe_estimate(report.estimate),
        "online store": describe_served(report.served),
    }


def _doubt(settings: Settings, outcomes: KnownOutcomes, number: int) -> Doubt:
    """How little a version can know about its own level: by the departures on the days that it was calibrated on."""
    training = settings.training
    return Doubt(
        departures=max(outcomes.departures.get(number, 0), training.min_churned),
        drift_sd=training.drift_prior_sd,
        segment_sd=training.segment_prior_sd,
        critical=tolerated_deviations(settings.monitoring.false_alarms_per_year),
    )


def _first_known_at(cohorts: Sequence[Cohort], settings: Settings) -> datetime | None:
    """When the first answer of the cohorts that count was known: those of a version that was replaced do not."""
    started = min((cohort.started for cohort in cohorts), default=None)
    return None if started is None else started + days_until_known(settings.label)


def key_figures(report: HealthReport) -> Mapping[str, float]:
    """The figures behind the verdict, by name; an undefined one is absent."""
    outcomes, drift = report.checks.outcomes, report.checks.drift
    visible = {} if drift.smallest_visible is None else {"drift_smallest_visible": drift.smallest_visible}
    return {
        **visible,
        **(report.estimate.figures() if report.estimate else {}),
        "drifted_signals": float(len({signal.signal for signal in drift.drifted})),
        "drift_tests": float(drift.tests),
        "drift_effect_points": drift.joint_points or 0.0,
        "outcome_evidence": outcomes.evidence,
        "outcome_threshold": outcomes.threshold,
        "outcome_power": outcomes.visible,
        "departures_observed": outcomes.observed,
        "departures_expected": outcomes.expected,
        "play_evidence": report.checks.plays.evidence,
        "play_threshold": report.checks.plays.threshold,
        "broken_sources": float(len(report.checks.sources)),
        "served_values_compared": float(report.served.values),
        "served_values_differing": float(report.served.differing),
    }
