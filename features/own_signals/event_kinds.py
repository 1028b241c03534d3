"""The kinds of events that get signals by themselves: chosen once, and kept, so that a history stays the same."""

import hashlib
import re
from dataclasses import asdict, dataclass

import ibis

from configs.files import write_json
from configs.sections.signals import EventSignalSettings, SignalSettings
from configs.state_dir import StateDir
from configs.stored_files import read_stored
from features.tables.derived import without_people_counts
from features.tables.raw_table import RawTable

WINDOWS = (28, 91)
MAX_NAME = 40
REMAKE_HINT = "Remove it, and publish again: the kinds are then chosen anew."


@dataclass(frozen=True)
class ChosenKinds:
    """The most used kinds of events, and by which settings they were chosen."""

    per_event_kind: int
    until: str
    kinds: tuple[str, ...]

    def is_for(self, settings: SignalSettings) -> bool:
        """Whether these settings would keep the choice."""
        return (self.per_event_kind, self.until) == _rule(settings)


def read_event_kinds(settings: SignalSettings, state: StateDir) -> tuple[str, ...]:
    """The kinds chosen before by the same settings; none if they were never chosen.

    Raises DamagedState if the choice cannot be read: another one would be other signals.
    """
    try:
        chosen = read_stored(state.event_kinds, ChosenKinds, REMAKE_HINT)
    except FileNotFoundError:
        return ()
    return chosen.kinds if chosen.is_for(settings) else ()


def keep_event_kinds(settings: SignalSettings, state: StateDir, usage: RawTable | None) -> tuple[str, ...]:
    """The kinds chosen before by the same settings, else those that are used most now, which are kept from then on."""
    if not settings.per_event_kind or usage is None:
        return ()
    kinds = read_event_kinds(settings, state)
    if not kinds:
        kinds = _most_used(settings, usage)
        write_json(state.event_kinds, asdict(ChosenKinds(*_rule(settings), kinds)))
    return kinds


def declare_kinds(kinds: tuple[str, ...]) -> tuple[EventSignalSettings, ...]:
    """The usual measures of each kind."""
    slugs = [_slug(kind) for kind in kinds]
    return tuple(
        EventSignalSettings(
            name=slug if slugs.count(slug) == 1 else f"{slug}_{_short_hash(kind)}",
            event=(kind,),
            windows=WINDOWS,
            measures=("count", "days_since", "trend"),
            label=f"'{kind}' events",
        )
        for kind, slug in zip(kinds, slugs, strict=True)
    )


def _rule(settings: SignalSettings) -> tuple[int, str]:
    return settings.per_event_kind, str(settings.kinds_until or "")


def _most_used(settings: SignalSettings, usage: RawTable) -> tuple[str, ...]:
    rows = without_people_counts(usage.rows)
    if settings.kinds_until:
        rows = rows.filter(rows.occurred_at < ibis.timestamp(f"{settings.kinds_until}"))
    counts = rows.group_by("event").aggregate(events=rows.quantity.sum())
    ranked = counts.order_by(ibis.desc(counts.events), counts.event).limit(settings.per_event_kind)
    return tuple(ranked.to_pyarrow()["event"].to_pylist())


def _slug(kind: str) -> str:
    """The kind as part of a name: `Export CSV` is `kind_export_csv`."""
    words = re.sub(r"[^a-z0-9]+", "_", kind.lower()).strip("_")
    is_whole = words and len(words) <= MAX_NAME
    return f"kind_{words}" if is_whole else f"kind_{words[:MAX_NAME]}_{_short_hash(kind)}".replace("__", "_")


def _short_hash(kind: str) -> str:
    return hashlib.sha256(kind.encode()).hexdigest()[:6]
