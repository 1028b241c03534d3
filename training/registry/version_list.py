"""The roster: every version with its alias, age, key figures, last duel, and how it came to be champion."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from training.registry.mlflow_registry import Entry, Event, Registry

FIGURES = ("auc", "log_loss")


@dataclass(frozen=True)
class Line:
    """One version as people compare it; a figure is (value, low, high), None where it could not be told."""

    number: int
    alias: str | None
    registered_at: str
    age_days: int
    made: str
    snapshots: int
    churned: int
    figures: dict[str, tuple[float, float, float] | None]
    duel: dict[str, Any] | None
    reigns: tuple[Event, ...]


def roster(registry: Registry, today: datetime) -> list[Line]:
    """Every version, newest first."""
    entries = registry.entries()
    past = registry.past() if entries else []
    return [_line(one, past, today) for one in entries]


def _line(entry: Entry, past: list[Event], today: datetime) -> Line:
    number, figures = entry.version.number, entry.figures
    return Line(
        number=number,
        alias=entry.version.alias,
        registered_at=f"{entry.registered_at:%Y-%m-%dT%H:%M:%S}",
        age_days=(today - entry.registered_at).days,
        made=entry.parameters.get("made", "trained"),
        snapshots=int(figures["snapshots"]),
        churned=int(figures["churned"]),
        figures={name: _interval(figures, name) for name in FIGURES},
        duel=dict(entry.duel) if entry.duel else None,
        reigns=tuple(event for event in past if event.number == number),
    )


def _interval(figures: Any, name: str) -> tuple[float, float, float] | None:
    keys = (name, f"{name}_low", f"{name}_high")
    if any(key not in figures for key in keys):
        return None
    return figures[keys[0]], figures[keys[1]], figures[keys[2]]
