"""Health: ok, watch or retrain, with the reasons, from drift of signals and risks and from mature risks."""

from dataclasses import dataclass
from datetime import datetime, timedelta

import pandas as pd

from configs.progress import Progress
from configs.settings import Settings
from configs.state_dir import StateDir
from features.publishing.pipeline import open_dataset
from features.store.feast_store import open_history, read_history
from features.store.history import KEY, Edition, complete_days
from features.store.publication import published_edition
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

    Raises NoChampion or NotReady where there is nothing to judge.
    """
    registry = open_registry(state, settings.name)
    version = registry.champion()
    place, as_of = published_edition(state)
    days = _comparable(place, as_of)
    progress("comparing days", 0, 2)
    rows = read_history(open_history(state, place, settings.name), snapshots_on(place, days))
    drift = _drift(registry.load_model(version), rows, registry.evaluation(version)["split"])
    progress("comparing outcomes", 1, 2)
    outcome = _outcome(settings, state, version, known_until)
    progress("judged", 2, 2)
    said = [_about_drift(drift), _about_outcome(outcome, settings)]
    verdict = max((verdict for verdict, _ in said), key=VERDICTS.index)
    return HealthReport(verdict, tuple(text for _, text in said), version, as_of, drift, outcome)


def _comparable(place: Edition, as_of: datetime) -> list[datetime]:
    """The complete days up to `as_of` on which most windows were full: a young history keeps changing."""
    days = [day for day in complete_days(place) if day <= as_of]
    windows = sorted(one.days or 0 for one in place.signals)
    full = timedelta(days=windows[int(len(windows) * FULL_WINDOWS)])
    return [day for day in days if day >= days[0] + full] or days[-1:]


def _drift(model: ChurnModel, rows: pd.DataFrame, split: dict[str, list[str]]) -> DriftReport:
    """The newest day against the last days the trees learned from, and each past day at the same distance."""
    days = [f"{day:%Y-%m-%d}" for day in sorted(rows.as_of.unique())]
    learned = sum(day in split["train"] for day in days)
    rows = rows.assign(risk=model.predict_risks(encode(rows, model.inputs)))[
        [KEY, "as_of", "risk", *model.signal_names]
    ]
    by_day = [part.drop(columns=[KEY, "as_of"]) for _, part in rows.groupby("as_of")]
    return detect_drift(by_day, min(len(split["calibration"]), learned), max(len(days) - learned, 1))


def _outcome(settings: Settings, state: StateDir, version: Version, known_until: datetime) -> ObservedVsExpected:
    given = open_ledger(settings, state).risks_of_version(version.number)
    given = given[[matures_at(day, settings.label) <= known_until for day in given.as_of]]
    chosen = given[given.as_of.isin(non_overlapping_days(list(given.as_of.unique()), settings.label.horizon_days))]
    chosen = chosen.reset_index(drop=True).astype({"as_of": "datetime64[us]"})
    known = observed_labels(open_dataset(settings, state), settings, chosen, known_until)
    return compare_observed_with_expected(chosen.risk, known, settings.monitoring.confidence)


def _about_drift(drift: DriftReport) -> tuple[str, str]:
    if not drift.is_conclusive:
        return "ok", f"drift: {drift.past_days} past days to compare with are too few to tell"
    told = f"drift: {len(drift.drifted)} signals moved further than ever; on the worst of {drift.past_days} past days"
    told += f" {drift.max_past_count} did"
    if not drift.is_alarm:
        return "ok", told
    furthest = drift.drifted[:SHOWN_SIGNALS]
    names = [f"{one.signal} {one.distance:.2f} (before {one.largest_past_distance:.2f})" for one in furthest]
    return "watch", f"{told}: {', '.join(names)}"


def _about_outcome(outcome: ObservedVsExpected, settings: Settings) -> tuple[str, str]:
    if outcome.snapshots < settings.monitoring.min_mature:
        return "ok", f"outcomes: {outcome.snapshots} mature risks are too few to judge the model by"
    told = (
        f"outcomes: of {outcome.snapshots} mature risks {outcome.churned} churned where {outcome.expected:.1f} were"
        f" expected, observed/expected {outcome.ratio:.2f} [{outcome.low:.2f}, {outcome.high:.2f}]"
        f" at {settings.monitoring.confidence:.0%}"
    )
    return ("retrain" if outcome.is_off else "ok"), told
