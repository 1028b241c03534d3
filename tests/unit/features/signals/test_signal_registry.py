"""The catalogue: what is declared about every signal; the test's name finishes the sentence "it ..."."""

import re
from collections import Counter

from features.signals.registry import FAMILIES, catalogue
from features.tables.contract import CONTRACT
from features.tables.derived import DERIVED


def test_has_signals_of_every_family():
    assert set(Counter(one.family for one in catalogue())) == set(FAMILIES)


def test_names_no_two_signals_alike():
    assert [name for name, times in Counter(one.name for one in catalogue()).items() if times > 1] == []


def test_says_one_sentence_about_each():
    assert [one.name for one in catalogue() if not re.fullmatch(r"[A-Z0-9][^{}\n]*\.", one.sentence)] == []


def test_gives_every_number_a_unit():
    assert [one.name for one in catalogue() if one.kind == "number" and not one.unit] == []


def test_leaves_the_direction_of_usage_tickets_and_survey_scores_to_be_learned():
    open_families = {"adoption", "value", "support", "sentiment"}
    assert [one.name for one in catalogue() if one.direction and one.family in open_families] == []


def test_takes_plays_for_treatments_not_for_signals():
    assert [one.name for one in catalogue() if "plays" in one.inputs] == []


def test_names_no_signal_like_a_table():
    assert {one.name for one in catalogue()}.isdisjoint(CONTRACT.keys() | DERIVED.keys())


def test_derives_a_label_from_the_name_and_the_window():
    labels = {signal.name: signal.label for signal in catalogue()}
    assert labels["tickets_opened_28d"] == "tickets opened, last 28 days"
    assert labels["price_per_seat"] == "price per seat"
    assert labels["mrr"] == "MRR"


def test_takes_a_label_written_by_hand():
    labels = {signal.name: signal.label for signal in catalogue()}
    assert labels["how_to_ticket_share_182d"] == "share of how-to questions, last 182 days"
    assert labels["days_since_event_182d"] == "days since last use"


def test_gives_no_two_signals_the_same_label():
    assert [label for label, count in Counter(signal.label for signal in catalogue()).items() if count > 1] == []


def test_leaves_room_for_the_value_in_every_text():
    assert [signal.name for signal in catalogue() if signal.text and signal.text.count("{value}") != 1] == []
