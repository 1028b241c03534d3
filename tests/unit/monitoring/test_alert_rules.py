"""Alerts, drawn as sequences of days: a swinging risk is told once, a real change too, and nothing is told twice."""

from datetime import datetime, timedelta

import pytest

from configs.settings import BandSettings, WebhookSettings
from monitoring.alerts.rules import Observation, apply_budget, next_state

START = datetime(2024, 1, 1)
CUTS = BandSettings(watch=0.05, high=0.10, critical=0.20)


def told(days: list[Observation], **rules) -> list[str]:
    """What is told over the days, each as `day kind subject`."""
    watched, said = None, []
    for number, day in enumerate(days):
        watched, events = next_state(watched, day, WebhookSettings(**rules), CUTS)
        said += [f"{number} {one.kind} {one.subject}" for one in events]
    return said


def risks(*values: float, every: int = 1) -> list[Observation]:
    return [Observation(START + timedelta(days=every * n), risk) for n, risk in enumerate(values)]


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
def test_a_band_is_told_when_it_changed_for_good(days, expected):
    assert told(risks(*days)) == expected


@pytest.mark.parametrize(
    ("days", "expected"),
    [
        ((0.01, 0.30, 0.01, 0.30), []),
        ((0.01, 0.30, 0.30), ["2 band_changed critical"]),
        ((0.01, 0.12, 0.30, 0.30), ["3 band_changed critical"]),
    ],
)
def test_a_change_is_told_once_it_held_for_some_days_in_a_row(days, expected):
    assert told(risks(*days), persistence_days=2) == expected


def test_a_wild_swing_is_not_told_again_within_the_quiet_days():
    swing = (0.01, 0.30) * 4
    assert told(risks(*swing)) == ["1 band_changed critical", "2 band_changed low"]
    assert len(told(risks(*swing, every=7))) == 7


def test_a_driver_that_enters_is_told_once_while_it_swings():
    points = (0.01, 0.03, 0.019, 0.03, 0.017, 0.03)
    days = [Observation(START + timedelta(days=n), 0.1, {"support": one}) for n, one in enumerate(points)]
    assert told(days) == ["1 driver_entered support"]


def test_a_renewal_with_risk_is_told_once_and_one_without_is_not():
    renews_at = START + timedelta(days=61)
    days = [Observation(START + timedelta(days=n), 0.15, {}, renews_at) for n in range(30)]
    assert told(days) == ["1 renewal_near 2024-03-02"]
    assert told([Observation(START, 0.01, {}, renews_at - timedelta(days=30))]) == []


def test_an_event_says_what_was_before():
    watched, _ = next_state(None, Observation(START, 0.09), WebhookSettings(), CUTS)
    _, (event,) = next_state(watched, Observation(START + timedelta(days=1), 0.11), WebhookSettings(), CUTS)
    assert event.previous == {"risk": 0.09, "as_of": START, "band": "watch"}
    assert event.current == {"risk": 0.11, "as_of": START + timedelta(days=1), "band": "high"}


def test_an_owner_is_told_of_the_largest_first_and_no_more_than_the_budget():
    events = [("olga", 10.0, "a"), ("olga", 30.0, "b"), ("omar", 1.0, "c"), ("olga", 20.0, "d")]
    assert apply_budget(events, 2) == (["b", "d", "c"], ["a"])
