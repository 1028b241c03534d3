"""Health: ok, unknown, watch or retrain, with the reasons, from drift of signals and risks and from mature risks.

It is unknown while too few risks are mature: no drift alarm is not yet a reason to trust a model.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from configs.progress import Progress
from configs.settings import Settings
from configs.state_dir import StateDir
from features.store.history import published_history
from monitoring.drift.detector import DriftedSignal, DriftReport
from monitoring.drift.paired_changes import Aspect
from monitoring.drift.panel import detect_panel_drift, open_panel
from monitoring.observed_vs_expected import ObservedVsExpected
from monitoring.served_outcomes import compare_served_outcomes
from training.registry.mlflow_registry import open_registry
from training.registry.version import Version

VERDICTS = ("ok", "unknown", "watch", "retrain")  # the worst last
EXIT_CODES = {"ok": 0, "watch": 10, "retrain": 11, "unknown": 12}
SHOWN_SIGNALS = 5


@dataclass(frozen=True)
class HealthReport:
    """The verdict on what is served, why, and what it rests on.

    `outcome` is that of the `judged_versions` together, `outcome_by_version` that of every version with a mature risk.
    """

    verdict: str
    reasons: tuple[str, ...]
    version: Version
    as_of: datetime
    drift: DriftReport
    outcome: ObservedVsExpected
    judged_versions: tuple[int, ...]
    outcome_by_version: Mapping[int, ObservedVsExpected]


def check_health(settings: Settings, state: StateDir, known_until: datetime, progress: Progress) -> HealthReport:
    """Judge the champion by the newest published day, and all that served by their risks mature by `known_until`.

    Raises NoChampion or NotReady if there is nothing to judge.
    """
    registry = open_registry(state, settings.name)
    version = registry.champion()
    history, as_of = published_history(state)
    progress("comparing days", 0, 2)
    panel = open_panel(state, history, registry.load_model(version), version.number)
    drift = detect_panel_drift(panel, as_of, settings.monitoring.false_alarms_per_year)
    progress("comparing outcomes", 1, 2)
    outcomes = compare_served_outcomes(settings, state, known_until)
    versions, outcome = outcomes.judged(settings.monitoring.min_mature)
    progress("judged", 2, 2)
    judgements = [_judge_drift(drift), _judge_outcome(versions, outcome, settings)]
    verdict = max((verdict for verdict, _ in judgements), key=VERDICTS.index)
    reasons = tuple(text for _, text in judgements)
    return HealthReport(verdict, reasons, version, as_of, drift, outcome, versions, outcomes.by_version)


def _judge_drift(drift: DriftReport) -> tuple[str, str]:
    if drift.before is None:
        return "ok", "drift: no published day is 25 to 31 days before, to compare with"
    text = (
        f"drift: {len(drift.drifted)} of {drift.tests} aspects of signals moved more in four weeks than they ever did"
    )
    text += f" ({drift.accounts} accounts, {drift.past_pairs} past pairs of days)"
    if not drift.is_alarm:
        return "ok", f"{text}; {_describe_power(drift)}"
    return "watch", f"{text}: {', '.join(map(describe_drifted, drift.drifted[:SHOWN_SIGNALS]))}"


def describe_drifted(signal: DriftedSignal) -> str:
    """One drifted signal in a few words."""
    name = str(Aspect(signal.signal, signal.kind)) + (f" in {signal.segment}" if signal.segment else "")
    effect = "" if signal.points is None else f", {signal.points:+.2f} points of risk"
    return f"{name} {signal.change:+.2f} (tolerated {signal.tolerated:.2f}{effect})"


def _describe_power(drift: DriftReport) -> str:
    if drift.smallest_visible is None:
        return "no shift can be seen with so few accounts"
    season = "" if drift.knows_season else "; no past pair is of this season, so a prior tolerance applies"
    return f"a median signal shows moves from {drift.smallest_visible:.2f} on the scale of ranks{season}"


def _judge_outcome(versions: tuple[int, ...], outcome: ObservedVsExpected, settings: Settings) -> tuple[str, str]:
    enough = settings.monitoring.min_mature
    if outcome.snapshots < enough:
        return "unknown", f"outcomes: {outcome.snapshots} mature risks are too few to judge what was served ({enough})"
    noun, numbers = "version" if len(versions) == 1 else "versions", ", ".join(map(str, sorted(versions)))
    text = (
        f"outcomes of {noun} {numbers}: {outcome.churned} of {outcome.snapshots} accounts with mature risks churned,"
        f" {outcome.expected:.1f} were expected;"
        f" observed/expected {outcome.ratio:.2f} [{outcome.low:.2f}, {outcome.high:.2f}]"
        f" at {settings.monitoring.confidence:.0%}"
    )
    return ("retrain" if outcome.is_off else "ok"), text
