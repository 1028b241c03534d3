"""The dictionary: the catalogue in Markdown and as one page; the test's name completes the sentence "it ..."."""

import re
from dataclasses import replace

from features.reports.dictionary import dictionary_entries, render_html, render_markdown
from features.signals.families import FAMILIES
from features.signals.registry import catalogue

NAMES = [signal.name for signal in catalogue()]


def _entry(name: str, coverage: dict[str, float] | None = None):
    listed = dictionary_entries(catalogue(), coverage)
    return next(entry for members in listed.values() for entry in members if entry.name == name)


def test_has_every_signal_once_under_its_family():
    listed = dictionary_entries(catalogue())
    assert list(listed) == list(FAMILIES)
    assert sorted(entry.name for members in listed.values() for entry in members) == sorted(NAMES)


def test_puts_short_windows_before_long_ones():
    names = [
        entry.name for entry in dictionary_entries(catalogue())["adoption"] if entry.name.startswith("events_trend")
    ]
    assert names == ["events_trend_7d", "events_trend_28d", "events_trend_91d"]


def test_lists_the_raw_tables_of_a_signal():
    assert _entry("unused_seat_mrr_28d").tables == ("subscriptions", "usage")
    assert _entry("last_nps").tables == ("surveys",)


def test_says_how_far_back_a_trend_looks():
    assert _entry("events_trend_28d").looks_back == "56 days"


def test_shows_the_coverage_if_it_is_known():
    assert _entry("mrr", {"mrr": 0.984}).coverage == "98%"


def test_says_the_direction_in_words():
    assert _entry("days_past_due").direction == "a higher value can only raise the risk"


def test_leaves_out_families_without_signals():
    members = [signal for signal in catalogue() if signal.family == "customer_profile"]
    assert list(dictionary_entries(members)) == ["customer_profile"]


def test_writes_a_markdown_row_per_signal():
    rows = re.findall(r"^\| `(\w+)` \|", render_markdown(catalogue()), flags=re.MULTILINE)
    assert sorted(rows) == sorted(NAMES)


def test_writes_a_coverage_column_only_if_it_is_known():
    assert "Coverage" not in render_markdown(catalogue())
    assert "| 98% |" in render_markdown(catalogue(), {"mrr": 0.984})


def test_writes_a_page_with_an_anchor_per_signal():
    assert sorted(re.findall(r'<tr id="(\w+)"', render_html(catalogue()))) == sorted(NAMES)


def test_writes_a_page_without_external_resources():
    page = render_html(catalogue())
    assert not re.search(r"https?://|src=|@import|<link", page)


def test_escapes_html_in_sentences():
    odd = replace(catalogue()[0], sentence="Less than <5 & more.")
    assert "Less than &lt;5 &amp; more." in render_html([odd])
