"""Health: ok, unknown, watch or retrain, with the reasons, from drift of signals and risks and from mature risks.

It is unknown while too few risks are mature: no drift alarm is not yet a reason to trust a model.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

import pandas as pd

from configs.progress import Progress
from configs.settings import Settings
from configs.state_dir import StateDir
from features.store.feast_store import open_history_store, read_historical_signals
from features.store.history import HistoryVersion, complete_days, published_history
from features.tables.contract import ACCOUNT_ID
from monitoring.drift import DriftReport, detect_drift
from monitoring.observed_vs_expected import ObservedVsExpected
from monitoring.served_outcomes import compare_served_outcomes
from training.data.training_set import snapshots_on
from training.model.churn_model import ChurnModel, encode
from training.registry.mlflow_registry import open_registry
from training.registry.version import Version

VERDICTS = ("ok", "unknown", "watch", "retrain")  # the worst last
EXIT_CODES = {"ok": 0, "watch": 10, "retrain": 11, "unknown": 12}
SHOWN_SIGNALS = 5
FULL_WINDOWS = 0.9  # the share of signals whose window must lie inside the history


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
    days = _comparable_days(history, as_of)
    progress("comparing days", 0, 2)
    rows = read_historical_signals(open_history_store(state, history, settings.name), snapshots_on(history, days))
    drift = _detect_signal_drift(registry.load_model(version), rows, registry.evaluation(version).split)
    progress("comparing outcomes", 1, 2)
    outcomes = compare_served_outcomes(settings, state, known_until)
    versions, outcome = outcomes.judged(settings.monitoring.min_mature)
    progress("judged", 2, 2)
    judgements = [_judge_drift(drift), _judge_outcome(versions, outcome, settings)]
    verdict = max((verdict for verdict, _ in judgements), key=VERDICTS.index)
    reasons = tuple(text for _, text in judgements)
    return HealthReport(verdict, reasons, version, as_of, drift, outcome, versions, outcomes.by_version)


def _comparable_days(history: HistoryVersion, as_of: datetime) -> list[datetime]:
    """The complete days up to `as_of` on which most windows were full: a young history keeps changing."""
    days = [day for day in complete_days(history) if day <= as_of]
    windows = sorted(signal.days or 0 for signal in history.signals)
    full = timedelta(days=windows[int(len(windows) * FULL_WINDOWS)])
    return [day for day in days if day >= days[0] + full] or days[-1:]


def _detect_signal_drift(model: ChurnModel, rows: pd.DataFrame, split: Mapping[str, Sequence[str]]) -> DriftReport:
    """The newest day against the last days the trees learned from, and each past day at the same distance."""
    days = [f"{day:%Y-%m-%d}" for day in sorted(rows.as_of.unique())]
    learned = sum(day in split["train"] for day in days)
    rows = rows.assign(risk=model.predict_risks(encode(rows, model.inputs)))[
        [ACCOUNT_ID, "as_of", "risk", *model.signal_names]
    ]
    by_day = [part.drop(columns=[ACCOUNT_ID, "as_of"]) for _, part in rows.groupby("as_of")]
    return detect_drift(by_day, min(len(split["calibration"]), learned), max(len(days) - learned, 1))


def _judge_drift(drift: DriftReport) -> tuple[str, str]:
    if not drift.is_conclusive:
        return "ok", f"drift: {drift.past_days} past days are too few to compare with"
    text = f"drift: {len(drift.drifted)} signals differ from training by more than ever before"
    text += f" (at most {drift.max_past_count} did on any of {drift.past_days} past days)"
    if not drift.is_alarm:
        return "ok", text
    furthest = drift.drifted[:SHOWN_SIGNALS]
    names = [
        f"{signal.signal} {signal.distance:.2f} (before {signal.largest_past_distance:.2f})" for signal in furthest
    ]
    return "watch", f"{text}: {', '.join(names)}"


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
