"""Alert rules, as sequences of days: swings and real changes are reported once, and nothing is reported twice."""

from datetime import datetime, timedelta

import pytest

from configs.sections.bands import BandSettings
from configs.sections.monitoring import WebhookSettings
from monitoring.alerts.rules import Observation, apply_budget, next_state

START = datetime(2024, 1, 1)
BANDS = BandSettings(watch=0.05, high=0.10, critical=0.20)


def reported(days: list[Observation], **rules) -> list[str]:
    """The events over the days, each as `day event_type subject`."""
    state, reports = None, []
    for number, day in enumerate(days):
        state, events = next_state(state, day, WebhookSettings(**rules), BANDS)
        reports += [f"{number} {event.key}" for event in events]
    return reports


def risks(*values: float, spacing: int = 1) -> list[Observation]:
    return [Observation(START + timedelta(days=spacing * n), risk) for n, risk in enumerate(values)]


@pytest.mark.parametrize(
    ("days", "expected"),
    [
        ((0.09, 0.11, 0.09, 0.11, 0.09, 0.11), ["1 band_changed high"]),
        ((0.11, 0.11, 0.11), []),
        ((0.04, 0.06, 0.11, 0.21), ["1 band_changed watch", "2 band_changed high", "3 band_changed critical"]),
        ((0.04, 0.30), ["1 band_changed critical"]),
        ((0.30, 0.17, 0.15), ["2 band_changed high"]),
        ((0.30, 0.01), ["1 band_changed low"]),
        ((0.12, 0.079), ["1 band_changed watch"]),
        ((0.12, 0.081), []),
    ],
)
def test_a_band_is_left_only_well_below_its_threshold(days, expected):
    assert reported(risks(*days)) == expected


@pytest.mark.parametrize(
    ("days", "expected"),
    [
        ((0.01, 0.30, 0.01, 0.30), []),
        ((0.01, 0.30, 0.30), ["2 band_changed critical"]),
        ((0.01, 0.12, 0.30, 0.30), ["3 band_changed critical"]),
    ],
)
def test_a_change_is_reported_after_the_persistence_days(days, expected):
    assert reported(risks(*days), persistence_days=2) == expected


def test_a_swing_is_not_repeated_within_the_dedupe_days():
    swing = (0.01, 0.30) * 4
    assert reported(risks(*swing)) == ["1 band_changed critical", "2 band_changed low"]
    assert len(reported(risks(*swing, spacing=7))) == 7


def test_a_new_driver_is_reported_once_while_it_swings():
    points = (0.01, 0.03, 0.019, 0.03, 0.017, 0.03)
    days = [Observation(START + timedelta(days=n), 0.1, {"support": value}) for n, value in enumerate(points)]
    assert reported(days) == ["1 driver_entered support"]


def test_only_a_renewal_at_risk_is_reported_and_only_once():
    renews_at = START + timedelta(days=61)
    days = [Observation(START + timedelta(days=n), 0.15, {}, renews_at) for n in range(30)]
    assert reported(days) == ["1 renewal_near 2024-03-02"]
    assert reported([Observation(START, 0.01, {}, renews_at - timedelta(days=30))]) == []


def test_an_event_holds_the_values_before_and_after():
    state, _ = next_state(None, Observation(START, 0.09), WebhookSettings(), BANDS)
    _, (event,) = next_state(state, Observation(START + timedelta(days=1), 0.11), WebhookSettings(), BANDS)
    assert event.previous == {"risk": 0.09, "as_of": START, "band": "watch"}
    assert event.current == {"risk": 0.11, "as_of": START + timedelta(days=1), "band": "high"}


def test_an_owner_gets_the_largest_events_up_to_the_budget():
    events = [("olga", 10.0, "a"), ("olga", 30.0, "b"), ("omar", 1.0, "c"), ("olga", 20.0, "d")]
    assert apply_budget(events, 2) == (["b", "d", "c"], ["a"])
