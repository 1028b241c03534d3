"""Alert rules: which changes of an account are reported from one day to the next. A swinging risk does not flap.

An account leaves a band only when its risk falls well below the threshold (hysteresis). A change is reported once it
has lasted for some days in a row (persistence), and not repeated for some days (dedupe). All functions are pure.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import TypeVar

from configs.sections.bands import BANDS, Band, BandSettings
from configs.sections.monitoring import WebhookSettings
from configs.sections.serving import ServingSettings

EventValue = str | float | datetime | list[str]
Reported = TypeVar("Reported")


@dataclass(frozen=True)
class Observation:
    """An account on a day: its risk, the points of the families that raise it, and when its term ends."""

    as_of: datetime
    risk: float
    family_points: Mapping[str, float] = field(default_factory=dict[str, float])
    renews_at: datetime | None = None


@dataclass(frozen=True)
class AlertState:
    """What was reported of an account so far: its band and drivers, a change that has not lasted yet, and when."""

    as_of: datetime
    risk: float
    band: Band
    drivers: frozenset[str] = frozenset()
    pending_band: Band | None = None
    pending_days: int = 0
    reported_at: Mapping[str, datetime] = field(default_factory=dict[str, datetime])


@dataclass(frozen=True)
class PublishedFamilies:
    """The day of a publication, and the families in it."""

    as_of: datetime
    families: tuple[str, ...]


@dataclass(frozen=True)
class AlertEvent:
    """A reported change: its type, its subject, and the values before and after."""

    event_type: str
    subject: str
    previous: Mapping[str, EventValue]
    current: Mapping[str, EventValue]

    @property
    def key(self) -> str:
        """Equal for events that report the same change."""
        return f"{self.event_type} {self.subject}"


def next_state(
    state: AlertState | None, observation: Observation, rules: WebhookSettings, thresholds: BandSettings
) -> tuple[AlertState, list[AlertEvent]]:
    """The state after a day, and the events to report. On an account's first day nothing has changed yet."""
    if state is None:
        first = AlertState(
            observation.as_of,
            observation.risk,
            band_of(observation.risk, thresholds),
            _drivers(frozenset(), observation, rules),
        )
        return _report(first, _renewal_events(first, observation, rules), rules)
    band, pending, days = _next_band(state, observation, rules, thresholds)
    after = replace(
        state,
        as_of=observation.as_of,
        risk=observation.risk,
        band=band,
        pending_band=pending,
        pending_days=days,
        drivers=_drivers(state.drivers, observation, rules),
    )
    events = [*_change_events(state, after, observation), *_renewal_events(after, observation, rules)]
    return _report(after, events, rules)


def stale_events(published: PublishedFamilies, serving: ServingSettings, at: datetime) -> list[AlertEvent]:
    """The families that are too old, one event for those with the same limit, the strictest limit first."""
    limits = {family: serving.max_signal_age_days(family) for family in published.families}
    events: list[AlertEvent] = []
    for days in sorted(set(limits.values())):
        stale_since = published.as_of + timedelta(days=days)
        if at > stale_since:
            families = sorted(family for family, limit in limits.items() if limit == days)
            current = {"as_of": published.as_of, "stale_since": stale_since, "families": families}
            events.append(AlertEvent("data_stale", f"{published.as_of:%Y-%m-%d} {days}", {}, current))
    return events


def band_of(risk: float, bands: BandSettings) -> Band:
    """The band of a risk."""
    return BANDS[sum(risk >= threshold for threshold in bands.thresholds)]


def apply_budget(
    events: Iterable[tuple[str | None, float, Reported]], max_per_owner: int
) -> tuple[list[Reported], list[Reported]]:
    """Split events, given with owner and revenue at risk, into the largest of each owner and those over budget."""
    within: list[Reported] = []
    over: list[Reported] = []
    counts: dict[str | None, int] = {}
    for owner, _, event in sorted(events, key=lambda owned: -owned[1]):
        counts[owner] = counts.get(owner, 0) + 1
        (within if counts[owner] <= max_per_owner else over).append(event)
    return within, over


def _next_band(
    state: AlertState, observation: Observation, rules: WebhookSettings, thresholds: BandSettings
) -> tuple[Band, Band | None, int]:
    """The band after the day, the band that has not lasted long enough yet, and for how many days it has."""
    rising = band_of(observation.risk, thresholds)
    falling = band_of(observation.risk / (1 - rules.hysteresis), thresholds)
    band, pending = state.band, state.band
    if BANDS.index(rising) > BANDS.index(band):
        pending = rising
    elif BANDS.index(falling) < BANDS.index(band):
        pending = falling
    if pending == band:
        return band, None, 0
    days = state.pending_days + 1 if pending == state.pending_band else 1
    return (pending, None, 0) if days >= rules.persistence_days else (band, pending, days)


def _drivers(before: frozenset[str], observation: Observation, rules: WebhookSettings) -> frozenset[str]:
    """The families that raise the risk enough; one that did before stays until it is clearly below."""
    leaves_below = rules.driver_points * (1 - rules.hysteresis)
    return frozenset(
        family
        for family, points in observation.family_points.items()
        if points >= (leaves_below if family in before else rules.driver_points)
    )


def _change_events(before: AlertState, after: AlertState, observation: Observation) -> Iterable[AlertEvent]:
    previous: dict[str, EventValue] = {"risk": before.risk, "as_of": before.as_of}
    current: dict[str, EventValue] = {"risk": after.risk, "as_of": after.as_of}
    if after.band != before.band:
        yield AlertEvent("band_changed", after.band, {**previous, "band": before.band}, {**current, "band": after.band})
    for family in sorted(after.drivers - before.drivers):
        entered = {**current, "family": family, "points": observation.family_points[family]}
        yield AlertEvent("driver_entered", family, {**previous, "drivers": sorted(before.drivers)}, entered)


def _renewal_events(state: AlertState, observation: Observation, rules: WebhookSettings) -> Iterable[AlertEvent]:
    renews_at = observation.renews_at
    if renews_at is None or BANDS.index(state.band) < BANDS.index(rules.renewal_band):
        return
    if timedelta(0) <= renews_at - observation.as_of <= timedelta(days=rules.renewal_days):
        current = {"risk": state.risk, "band": state.band, "as_of": state.as_of, "renews_at": renews_at}
        yield AlertEvent("renewal_near", f"{renews_at:%Y-%m-%d}", {}, current)


def _report(
    state: AlertState, events: Iterable[AlertEvent], rules: WebhookSettings
) -> tuple[AlertState, list[AlertEvent]]:
    """The events without those that were reported recently, and the state that remembers them."""
    fresh = [event for event in events if not _is_repeated(event, state, rules)]
    reported_at = {**state.reported_at, **{event.key: state.as_of for event in fresh}}
    return replace(state, reported_at=reported_at), fresh


def _is_repeated(event: AlertEvent, state: AlertState, rules: WebhookSettings) -> bool:
    if event.key not in state.reported_at:
        return False
    is_recent = state.as_of - state.reported_at[event.key] < timedelta(days=rules.dedupe_days)
    return is_recent or event.event_type == "renewal_near"  # a renewal is reported once
