"""A driver's text is a sentence with a unit: how the signal moved, or what it is, and what similar accounts have."""

import math
from collections.abc import Mapping
from dataclasses import replace

import pandas as pd
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from features.signals.registry import catalogue
from serving.pages.account.risk_steps import describe_value
from serving.schemas.responses import SignalPoints
from serving.scoring.sentences import SignalSentences, format_value, group_signals, looks_equal
from training.model.churn_model import ModelInput, SignalValue
from training.model.fit import build_inputs

INPUTS = build_inputs(catalogue(), pd.DataFrame(columns=[signal.name for signal in catalogue()]))
NAMES = [signal.name for signal in INPUTS]
SENTENCES = SignalSentences(INPUTS)


def describe(name: str, values: Mapping[str, SignalValue], typical: Mapping[str, SignalValue]) -> str:
    """The sentence about a signal of an account with these values."""
    known = {key: value for key, value in values.items() if isinstance(value, float | int)}
    numbers = [known.get(key, math.nan) for key in NAMES]
    return SENTENCES.describe(NAMES.index(name), values.get(name), numbers, [typical.get(key) for key in NAMES])


@pytest.mark.parametrize(
    ("name", "values", "typical", "sentence"),
    [
        (
            "active_days_28d",
            {"active_days_28d": 8.0, "active_days_91d": 77.75},
            {"active_days_28d": 28.0},
            "Usage fell from 31 to 8 active days in 28 days (similar accounts: 28)",
        ),
        (
            "events_trend_28d",
            {"events_trend_28d": 0.25, "events_28d": 73.0},
            {"events_28d": 305.0, "events_trend_28d": 1.0},
            "Usage fell from 292 to 73 events in 28 days (similar accounts: 305)",
        ),
        (
            "nps_change_182d",
            {"nps_change_182d": 2.0, "nps_mean_182d": 9.0},
            {"nps_mean_182d": 9.0},
            "The average NPS answer rose from 7 to 9 of 10 in 182 days",
        ),
        ("seats", {"seats": 10.0, "seats_change_364d": 1.0}, {"seats": 25.0}, "Seats: 10 (similar accounts: 25)"),
        ("seats", {"seats": 10.0}, {"seats": 10.0}, "Seats: 10"),
        ("seats", {}, {"seats": 10.0}, "Seats: not known (similar accounts: 10)"),
        (
            "days_since_champion_left",
            {},
            {"days_since_champion_left": 274.0},
            "No champion is known to have left",
        ),
        ("resolution_days_91d", {}, {}, "No ticket was resolved in 91 days"),
        ("events_28d", {"events_28d": 0.0, "events_trend_28d": 0.0}, {}, "Events in the last 28 days: 0"),
        (
            "days_until_cancellation",
            {"days_until_cancellation": 24.0},
            {"days_until_cancellation": 15.0},
            "Gave notice; leaves in 24 days (similar accounts: 15)",
        ),
        (
            "days_until_cancellation",
            {"days_until_cancellation": 0.29},
            {"days_until_cancellation": 15.0},
            "Gave notice; leaves in less than a day (similar accounts: 15)",
        ),
        ("days_until_renewal", {"days_until_renewal": 1.0}, {}, "Renews in 1 day"),
        ("days_until_renewal", {"days_until_renewal": -3.0}, {}, "Days until renewal: -3"),
        ("term_months", {"term_months": 1.0}, {"term_months": 1.0}, "The contract term is 1 month"),
        ("sponsors", {"sponsors": 0.0}, {"sponsors": 1.0}, "0 sponsors (similar accounts: 1)"),
        ("country", {"country": "NJ"}, {"country": "NY"}, "Country: NJ (similar accounts: NY)"),
        ("country", {}, {"country": "NY"}, "Country: not known (similar accounts: NY)"),
        (
            "seat_utilisation_91d",
            {"seat_utilisation_91d": 0.031},
            {"seat_utilisation_91d": 0.45},
            "3 % of the seats are in use on an average active day, last 91 days (similar accounts: 45 %)",
        ),
    ],
)
def test_a_driver_is_a_sentence(name: str, values: dict, typical: dict, sentence: str):
    assert describe(name, values, typical) == sentence


def test_an_amount_has_its_currency():
    shown = [format_value(1250.0, unit) for unit in ("EUR", "EUR a month", "MRR", "money", "seats")]
    assert shown == ["1,250 EUR", "1,250 EUR", "1,250", "1,250", "1,250"]
    assert describe_value(1250.0, "EUR a month") == "1,250 EUR a month"
    assert describe_value(1250.0, "EUR") == "1,250 EUR"


@pytest.mark.parametrize("signal", INPUTS, ids=NAMES)
def test_every_signal_reads_as_a_sentence(signal: ModelInput):
    value = 2.0 if signal.kind == "number" else "some"
    sentence = describe(signal.name, dict.fromkeys(NAMES, value), {})
    assert sentence[0].isupper() or sentence[0].isdigit()
    assert "{" not in sentence


def test_every_movement_is_of_signals_that_exist():
    assert [signal.name for signal in INPUTS if bool(signal.moves) != bool(signal.past)] == []
    windows = [name for signal in INPUTS for name in signal.past[:1] if name not in NAMES]
    assert windows == []


def _points(name: str, value: SignalValue) -> SignalPoints:
    unit = next(signal.unit for signal in INPUTS if signal.name == name)
    return {"name": name, "label": name, "value": value, "unit": unit, "typical": None, "points": 0.01}


def test_one_fact_is_listed_once():
    signals = [
        _points("tenure", 752.2),
        _points("renewals", 752.0),
        _points("days_since_renewal", 751.9),
        _points("days_since_notice", 12.0),
    ]
    names = [[signal["name"] for signal in group] for group in group_signals(signals)]
    assert names == [["tenure", "days_since_renewal"], ["renewals"], ["days_since_notice"]]


NUMBERS = st.floats(-1e6, 1e6) | st.integers(-300, 300).map(float) | st.floats(0, 1)


@given(
    pair=st.tuples(NUMBERS, NUMBERS)
    | NUMBERS.flatmap(lambda x: st.tuples(st.just(x), st.floats(0.85, 1.2).map(x.__mul__))),
    unit=st.sampled_from(["share", "0 or 1", "x", "days", "EUR", "events"]),
)
@example(pair=(0.995, 1.005), unit="share")
@example(pair=(9.949999, 10.5), unit="days")
@example(pair=(99.5, 104.4), unit="events")
def test_values_look_equal_exactly_if_their_texts_are_equal(pair: tuple[float, float], unit: str) -> None:
    value, other = pair
    assert looks_equal(value, other, unit) == (format_value(value, unit) == format_value(other, unit))


def test_only_a_value_of_one_is_singular() -> None:
    signal = next(signal for signal in INPUTS if signal.name == "days_until_renewal")
    for value, sentence in ((1.0, "Renews in 1 day"), (11.0, "Renews in 11 days"), (0.5, "Renews in less than a day")):
        assert SignalSentences([signal]).describe(0, value, [value], [None]) == sentence


def test_a_window_of_one_day_is_singular():
    signal = next(signal for signal in INPUTS if signal.name == "events_28d")
    one_day = replace(signal, label="Tickets, last 1 days", text="Opened {value} tickets in 1 days", absent="", past=())
    assert SignalSentences([one_day]).describe(0, 11.0, [11.0], [None]) == "Opened 11 tickets in 1 day"
    unnamed = replace(one_day, text="")
    assert SignalSentences([unnamed]).describe(0, 11.0, [11.0], [None]) == "Tickets in the last 1 day: 11"
