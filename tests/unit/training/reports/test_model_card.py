"""The model card: one page that needs nothing else, names what is weak, and cannot be misread as a promise."""

import pytest

from training.evaluation.ablation import USAGE_ONLY, parts
from training.registry.mlflow_registry import open_registry
from training.reports.model_card import model_card
from training.reports.model_card_html import card_page, read_pictures, weaknesses


@pytest.fixture
def said(trained) -> dict:
    registry = open_registry(trained.state, trained.settings.name)
    return registry.evaluation(registry.get(1))


@pytest.fixture
def pictures(trained) -> dict[str, bytes]:
    registry = open_registry(trained.state, trained.settings.name)
    with registry.pictures(registry.get(1)) as folder:
        return read_pictures(folder)


def test_a_run_holds_every_picture_and_the_card(trained, pictures):
    registry = open_registry(trained.state, trained.settings.name)
    drawn = {"calibration", "gain", "precision_recall", "revenue", "beeswarm", "families", "origins", "ablation"}
    assert pictures.keys() == drawn
    assert all(content.startswith(b"\x89PNG") for content in pictures.values())
    with registry.pictures(registry.get(1)) as folder:
        assert (folder / "model_card.md").read_text().startswith("# Model card")
        assert (folder / "model_card.html").read_text().startswith("<!doctype html>")
    assert not folder.exists()


def test_the_page_holds_its_pictures_and_asks_for_nothing_from_elsewhere(said, pictures):
    page = card_page(said, pictures, None)
    assert page.count("data:image/png;base64,") == len(pictures)
    assert not [word for word in ("http://", "https://", "<script", "<link") if word in page]
    assert "Nothing here is causal" in page


def test_the_page_says_that_a_model_is_refused_and_what_its_duel_said(said):
    refused = said | {"leakage": said["leakage"] | {"alarms": ["the signal 'x' <alone> knows"]}}
    page = card_page(refused, {}, {"against": 3, "verdict": "loses", "why": "it is worse"})
    assert "Not to be promoted." in page
    assert "the signal &#39;x&#39; &lt;alone&gt; knows" in page
    assert "Against version 3: loses." in page


def test_a_weak_segment_is_named(said):
    weak = {"auc_low": 0.4, "rate_low": 0.1, "rate_high": 0.2, "mean_risk": 0.5, "churned": 5, "snapshots": 50}
    told = list(weaknesses(said | {"segments": {"tiny": weak}}))
    assert "In the segment 'tiny' (5 of 50 churned) it cannot be shown to tell leavers from stayers." in told
    assert "In the segment 'tiny' (5 of 50 churned) its mean risk of 50.0 % is off." in told


def test_every_family_is_left_out_once_and_usage_is_left_alone(said):
    names = [one["name"] for one in said["ablation"]]
    assert names == [
        "without adoption",
        "without billing",
        "without contract",
        "without fit",
        "without value",
        USAGE_ONLY,
    ]
    without = next(one for one in said["ablation"] if one["name"] == "without contract")
    assert without["figures"]["log_loss"]["difference"]["low"] > 0
    assert "without contract" in model_card(said)


def test_usage_alone_reads_no_other_table():
    from features.reports.dictionary import tables_of
    from features.signals.registry import catalogue

    signals = catalogue()
    ((_, names),) = [part for part in parts(signals) if part[0] == USAGE_ONLY]
    tables = tables_of(signals)
    assert names and all(tables[name] == ("usage",) for name in names)
