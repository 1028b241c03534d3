"""The version list: every version with its alias, age, metrics, last comparison, and changes of the champion."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from training.registry.comparison_record import LastComparison
from training.registry.mlflow_registry import ChampionEvent, Registry, VersionRecord

LISTED_METRICS = ("auc", "log_loss")


@dataclass(frozen=True)
class VersionSummary:
    """One version; each metric is (value, low, high), or None if it could not be computed."""

    number: int
    alias: str | None
    registered_at: str
    age_days: int
    origin: str
    snapshots: int
    churned: int
    metrics: dict[str, tuple[float, float, float] | None]
    comparison: LastComparison | None
    champion_events: tuple[ChampionEvent, ...]


def list_versions(registry: Registry, today: datetime) -> list[VersionSummary]:
    """Every version, newest first."""
    records = registry.version_records()
    events = registry.champion_history() if records else []
    return [_summarize(record, events, today) for record in records]


def _summarize(record: VersionRecord, events: Sequence[ChampionEvent], today: datetime) -> VersionSummary:
    number = record.version.number
    return VersionSummary(
        number=number,
        alias=record.version.alias,
        registered_at=f"{record.registered_at:%Y-%m-%dT%H:%M:%S}",
        age_days=(today - record.registered_at).days,
        origin=record.parameters.get("origin", "trained"),
        snapshots=int(record.metrics["snapshots"]),
        churned=int(record.metrics["churned"]),
        metrics={name: _interval(record.metrics, name) for name in LISTED_METRICS},
        comparison=record.comparison,
        champion_events=tuple(event for event in events if event.version == number),
    )


def _interval(metrics: Mapping[str, float], name: str) -> tuple[float, float, float] | None:
    keys = (name, f"{name}_low", f"{name}_high")
    if any(key not in metrics for key in keys):
        return None
    return metrics[keys[0]], metrics[keys[1]], metrics[keys[2]]
