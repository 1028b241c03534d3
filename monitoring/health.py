"""Health: ok, watch or retrain, with the reasons, from drift of signals and risks and from mature risks."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

import pandas as pd

from configs.progress import Progress
from configs.settings import Settings
from configs.state_dir import StateDir
from features.publishing.pipeline import open_dataset
from features.store.feast_store import open_history_store, read_historical_signals
from features.store.history import HistoryVersion, complete_days, published_history
from features.tables.contract import ACCOUNT_ID
from monitoring.drift import DriftReport, detect_drift
from monitoring.observed_vs_expected import ObservedVsExpected, compare_observed_with_expected, non_overlapping_days
from serving.ledger.ledger import open_ledger
from training.data.training_set import observed_labels, snapshots_on
from training.labels.definition import matures_at
from training.model.churn_model import ChurnModel, encode
from training.registry.mlflow_registry import open_registry
from training.registry.version import Version

VERDICTS = ("ok", "watch", "retrain")
EXIT_CODES = {"ok": 0, "watch": 10, "retrain": 11}
SHOWN_SIGNALS = 5
FULL_WINDOWS = 0.9  # the share of signals whose window must lie inside the history


@dataclass(frozen=True)
class HealthReport:
    """The verdict on the champion, why, and what it rests on."""

    verdict: str
    reasons: tuple[str, ...]
    version: Version
    as_of: datetime
    drift: DriftReport
    outcome: ObservedVsExpected


def check_health(settings: Settings, state: StateDir, known_until: datetime, progress: Progress) -> HealthReport:
    """Judge the champion by the newest published day and by every risk in the ledger that is mature by `known_until`.

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
    outcome = _observed_vs_expected(settings, state, version, known_until)
    progress("judged", 2, 2)
    judgements = [_judge_drift(drift), _judge_outcome(outcome, settings)]
    verdict = max((verdict for verdict, _ in judgements), key=VERDICTS.index)
    return HealthReport(verdict, tuple(text for _, text in judgements), version, as_of, drift, outcome)


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


def _observed_vs_expected(
    settings: Settings, state: StateDir, version: Version, known_until: datetime
) -> ObservedVsExpected:
    risks = open_ledger(settings, state).risks_of_version(version.number)
    risks = risks[[matures_at(day, settings.label) <= known_until for day in risks.as_of]]
    chosen = risks[risks.as_of.isin(non_overlapping_days(list(risks.as_of.unique()), settings.label.horizon_days))]
    chosen = chosen.reset_index(drop=True).astype({"as_of": "datetime64[us]"})
    churned = observed_labels(open_dataset(settings, state), settings, chosen, known_until)
    return compare_observed_with_expected(chosen.risk, churned, settings.monitoring.confidence)


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


def _judge_outcome(outcome: ObservedVsExpected, settings: Settings) -> tuple[str, str]:
    if outcome.snapshots < settings.monitoring.min_mature:
        return "ok", f"outcomes: {outcome.snapshots} mature risks are too few to judge the model"
    text = (
        f"outcomes: {outcome.churned} of {outcome.snapshots} accounts with mature risks churned, {outcome.expected:.1f}"
        f" were expected; observed/expected {outcome.ratio:.2f} [{outcome.low:.2f}, {outcome.high:.2f}]"
        f" at {settings.monitoring.confidence:.0%}"
    )
    return ("retrain" if outcome.is_off else "ok"), text
