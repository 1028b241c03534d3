"""Alerts: what is worth telling of an account from one day to the next, decided so that a swinging risk does not flap.

A band is left downwards only where the risk falls clearly below its cut (hysteresis), a change is told once it has held
for some days in a row (persistence), and the same thing is not told twice within some days (dedupe). Pure functions.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

from configs.bands import BANDS
from configs.settings import BandSettings, ServingSettings, WebhookSettings


@dataclass(frozen=True)
class Observation:
    """An account on a day: its risk, the points of the families that raise it, and when its term ends."""

    as_of: datetime
    risk: float
    family_points: Mapping[str, float] = field(default_factory=dict)
    renews_at: datetime | None = None


@dataclass(frozen=True)
class AlertState:
    """What was told of an account so far: its band and drivers, a change that has yet to hold, when what was told."""

    as_of: datetime
    risk: float
    band: str
    drivers: frozenset[str] = frozenset()
    pending_band: str = ""
    pending_days: int = 0
    reported_at: Mapping[str, datetime] = field(default_factory=dict)


@dataclass(frozen=True)
class PublishedFamilies:
    """A publication: of which day, and the families that are in it."""

    as_of: datetime
    families: tuple[str, ...]


@dataclass(frozen=True)
class AlertEvent:
    """Something worth telling: what, about what, and the values before and now."""

    kind: str
    subject: str
    previous: dict[str, Any]
    current: dict[str, Any]


def next_state(
    watched: AlertState | None, seen: Observation, rules: WebhookSettings, cuts: BandSettings
) -> tuple[AlertState, list[AlertEvent]]:
    """What is known after a day, and what of it is told; the first day an account is seen nothing has changed yet."""
    if watched is None:
        known = AlertState(seen.as_of, seen.risk, band_of(seen.risk, cuts), _drivers(frozenset(), seen, rules))
        return _told(known, [_renewal(known, seen, rules)], rules)
    band, coming, days = _band(watched, seen, rules, cuts)
    known = replace(watched, as_of=seen.as_of, risk=seen.risk, band=band, coming=coming, coming_days=days)
    known = replace(known, drivers=_drivers(watched.drivers, seen, rules))
    before, now = {"risk": watched.risk, "as_of": watched.as_of}, {"risk": seen.risk, "as_of": seen.as_of}
    found: list[AlertEvent | None] = []
    if band != watched.band:
        found.append(AlertEvent("band_changed", band, {**before, "band": watched.band}, {**now, "band": band}))
    for family in sorted(known.drivers - watched.drivers):
        points = {**now, "family": family, "points": seen.family_points[family]}
        found.append(AlertEvent("driver_entered", family, {**before, "drivers": sorted(watched.drivers)}, points))
    return _told(known, [*found, _renewal(known, seen, rules)], rules)


def stale_events(published: PublishedFamilies, serving: ServingSettings, at: datetime) -> list[AlertEvent]:
    """The families that are older than they may be, those with the same limit together, the strictest first."""
    limits = {family: serving.fresh_days(family) for family in published.families}
    events = []
    for days in sorted(set(limits.values())):
        since = published.as_of + timedelta(days=days)
        if at > since:
            families = sorted(family for family, limit in limits.items() if limit == days)
            now = {"as_of": published.as_of, "stale_since": since, "families": families}
            events.append(AlertEvent("data_stale", f"{published.as_of:%Y-%m-%d} {days}", {}, now))
    return events


def band_of(risk: float, cuts: BandSettings) -> str:
    """The band a risk lies in."""
    return BANDS[sum(risk >= cut for cut in (cuts.watch, cuts.high, cuts.critical))]


def apply_budget(events: Iterable[tuple[str | None, float, Any]], most: int) -> tuple[list[Any], list[Any]]:
    """Of events with owner and what is at stake: those told, the largest first, and those beyond an owner's budget."""
    told, beyond, counts = [], [], dict[str | None, int]()
    for owner, _, event in sorted(events, key=lambda one: -one[1]):
        counts[owner] = counts.get(owner, 0) + 1
        (told if counts[owner] <= most else beyond).append(event)
    return told, beyond


def _band(watched: AlertState, seen: Observation, rules: WebhookSettings, cuts: BandSettings) -> tuple[str, str, int]:
    """The band told from now on, the one that is coming, and for how many days it has."""
    up = band_of(seen.risk, cuts)
    down = band_of(seen.risk / (1 - rules.hysteresis), cuts)
    at = BANDS.index(watched.band)
    wanted = up if BANDS.index(up) > at else down if BANDS.index(down) < at else watched.band
    if wanted == watched.band:
        return watched.band, "", 0
    days = watched.pending_days + 1 if wanted == watched.pending_band else 1
    return (wanted, "", 0) if days >= rules.persistence_days else (watched.band, wanted, days)


def _drivers(told: frozenset[str], seen: Observation, rules: WebhookSettings) -> frozenset[str]:
    stays = rules.driver_points * (1 - rules.hysteresis)
    return frozenset(
        f for f, points in seen.family_points.items() if points >= (stays if f in told else rules.driver_points)
    )


def _renewal(known: AlertState, seen: Observation, rules: WebhookSettings) -> AlertEvent | None:
    if seen.renews_at is None or BANDS.index(known.band) < BANDS.index(rules.renewal_band):
        return None
    if not timedelta(0) <= seen.renews_at - seen.as_of <= timedelta(days=rules.renewal_days):
        return None
    now = {"risk": seen.risk, "band": known.band, "as_of": seen.as_of, "renews_at": seen.renews_at}
    return AlertEvent("renewal_near", f"{seen.renews_at:%Y-%m-%d}", {}, now)


def _told(
    known: AlertState, found: Iterable[AlertEvent | None], rules: WebhookSettings
) -> tuple[AlertState, list[AlertEvent]]:
    """Leave out what was told lately; a renewal is told once."""
    told, events = dict(known.reported_at), []
    for one in found:
        key = f"{one.kind} {one.subject}" if one else ""
        if one is None or (key in told and _is_recent(one.kind, told[key], known.as_of, rules)):
            continue
        told[key] = known.as_of
        events.append(one)
    return replace(known, told=told), events


def _is_recent(kind: str, at: datetime, now: datetime, rules: WebhookSettings) -> bool:
    return kind == "renewal_near" or now - at < timedelta(days=rules.dedupe_days)
