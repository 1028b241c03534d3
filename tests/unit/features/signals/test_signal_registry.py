"""The catalogue: what is declared about every signal; the test's name completes the sentence "it ..."."""

import re
from collections import Counter

from features.signals.families import FAMILIES
from features.signals.registry import catalogue
from features.tables.contract import CONTRACT
from features.tables.derived import DERIVED


def test_has_signals_of_every_family():
    assert set(Counter(signal.family for signal in catalogue())) == set(FAMILIES)


def test_gives_every_signal_its_own_name():
    assert [name for name, count in Counter(signal.name for signal in catalogue()).items() if count > 1] == []


def test_describes_each_signal_in_one_sentence():
    assert [signal.name for signal in catalogue() if not re.fullmatch(r"[A-Z0-9][^{}\n]*\.", signal.sentence)] == []


def test_gives_every_number_a_unit():
    assert [signal.name for signal in catalogue() if signal.kind == "number" and not signal.unit] == []


def test_declares_no_direction_for_usage_tickets_and_surveys():
    open_families = {"adoption", "value", "support", "sentiment"}
    assert [signal.name for signal in catalogue() if signal.direction and signal.family in open_families] == []


def test_computes_no_signal_from_plays():
    assert [signal.name for signal in catalogue() if "plays" in signal.inputs] == []


def test_gives_no_signal_the_name_of_a_table():
    assert {signal.name for signal in catalogue()}.isdisjoint(CONTRACT.keys() | DERIVED.keys())


def test_derives_a_label_from_the_name_and_the_window():
    labels = {signal.name: signal.label for signal in catalogue()}
    assert labels["tickets_opened_28d"] == "tickets opened, last 28 days"
    assert labels["price_per_seat"] == "price per seat"
    assert labels["mrr"] == "MRR"


def test_uses_a_label_written_by_hand():
    labels = {signal.name: signal.label for signal in catalogue()}
    assert labels["how_to_ticket_share_182d"] == "share of how-to questions, last 182 days"
    assert labels["days_since_event_182d"] == "days since last use"


def test_gives_every_signal_its_own_label():
    assert [label for label, count in Counter(signal.label for signal in catalogue()).items() if count > 1] == []


def test_has_one_placeholder_for_the_value_in_every_text():
    assert [signal.name for signal in catalogue() if signal.text and signal.text.count("{value}") != 1] == []
