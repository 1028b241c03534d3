"""The dictionary: the catalogue in Markdown and as one page; the test's name finishes the sentence "it ..."."""

import re
from dataclasses import replace
from pathlib import Path

from features.reports.dictionary import as_html, as_markdown, entries
from features.signals.registry import FAMILIES, catalogue

NAMES = [one.name for one in catalogue()]


def _entry(name: str, coverage: dict[str, float] | None = None):
    listed = entries(catalogue(), coverage)
    return next(one for members in listed.values() for one in members if one.name == name)


def test_has_every_signal_once_under_its_family():
    listed = entries(catalogue())
    assert list(listed) == list(FAMILIES)
    assert sorted(one.name for members in listed.values() for one in members) == sorted(NAMES)


def test_puts_short_windows_before_long_ones():
    names = [one.name for one in entries(catalogue())["adoption"] if one.name.startswith("events_trend")]
    assert names == ["events_trend_7d", "events_trend_28d", "events_trend_91d"]


def test_names_the_raw_tables_behind_derived_tables_and_other_signals():
    assert _entry("unused_seat_mrr_28d").tables == ("subscriptions", "usage")
    assert _entry("last_nps").tables == ("surveys",)


def test_says_how_far_back_a_comparison_of_windows_looks():
    assert _entry("events_trend_28d").looks_back == "56 days"


def test_says_how_many_snapshots_have_a_value_where_that_is_known():
    assert _entry("mrr", {"mrr": 0.984}).coverage == "98%"


def test_says_the_direction_in_words():
    assert _entry("days_past_due").direction == "a higher value can only raise the risk"


def test_leaves_out_families_without_signals():
    assert list(entries([one for one in catalogue() if one.family == "fit"])) == ["fit"]


def test_writes_a_markdown_row_per_signal():
    rows = re.findall(r"^\| `(\w+)` \|", as_markdown(catalogue()), flags=re.MULTILINE)
    assert sorted(rows) == sorted(NAMES)


def test_writes_a_column_of_coverage_only_where_it_is_known():
    assert "Coverage" not in as_markdown(catalogue())
    assert "| 98% |" in as_markdown(catalogue(), {"mrr": 0.984})


def test_writes_a_page_with_a_place_to_link_to_for_every_signal():
    assert sorted(re.findall(r'<tr id="(\w+)"', as_html(catalogue()))) == sorted(NAMES)


def test_writes_a_page_that_loads_nothing_from_elsewhere():
    page = as_html(catalogue())
    assert not re.search(r"https?://|src=|@import|<link", page)


def test_escapes_what_a_sentence_says():
    odd = replace(catalogue()[0], sentence="Less than <5 & more.")
    assert "Less than &lt;5 &amp; more." in as_html([odd])


def test_the_shipped_dictionary_is_that_of_the_catalogue():
    shipped = Path(__file__).parents[4] / "features/SIGNALS.md"
    assert shipped.read_text("utf-8") == as_markdown(catalogue()), "run: oarlock signals --markdown features/SIGNALS.md"
