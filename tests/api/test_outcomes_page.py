"""The page of the outcomes: it says what was stored last, with n and intervals, or that nobody has compared yet."""

from datetime import datetime
from pathlib import Path

import pytest

from serving.ledger.served_outcomes import (
    NOBODY_HELD_OUT,
    NaturalRate,
    OutcomeRate,
    PlayEffect,
    QuarterTruth,
    ServedOutcomes,
    write_outcomes,
)  # fmt: skip
from serving.pages.rendering import render_offline
from serving.pages.retention.outcomes_page import outcomes_values
from tests.support.api_client import ApiClient
from tests.support.page_client import PageClient, open_page_client

RATE = OutcomeRate(0.5, 0.3, 0.7)
QUARTER = QuarterTruth("2026Q1", 1_234, 40, 30, 15, 15, 25, RATE, RATE, 41.0, 2, 9_000.0, 6_000.0, RATE)
NATURAL = NaturalRate("mid", 900, 300, OutcomeRate(0.05, 0.04, 0.07), OutcomeRate(0.1, 0.08, 0.12), RATE)
EFFECT = PlayEffect(12, 20, OutcomeRate(0.61, 0.4, 0.9))
OUTCOMES = ServedOutcomes(datetime(2026, 7, 1), 90, 120, [QUARTER], [NATURAL], EFFECT)


@pytest.fixture
def client(api_client: ApiClient) -> PageClient:
    return open_page_client(api_client.context)


@pytest.fixture
def stored(client: PageClient):
    file: Path = client.context.state.outcomes
    write_outcomes(file, OUTCOMES)
    yield
    file.unlink()


@pytest.mark.usefixtures("stored")
def test_the_page_says_what_was_stored(client: PageClient):
    page = client.read("/outcomes")
    assert OUTCOMES.answer in page
    assert "As known on 1 July 2026" in page
    assert "5.0\xa0% <small>4.0 to 7.0\xa0%, n = 300</small>" in page
    assert "0.61 times that of the held-out accounts (0.40 to 0.90 at 95 %)" in page
    assert client.get("/outcomes?format=json").json()["natural"][0]["natural"]["high"] == 0.07


def test_without_a_comparison_the_page_says_what_makes_one(client: PageClient):
    assert "<code>oarlock monitor</code> does" in client.read("/outcomes")
    assert client.get("/outcomes?format=json").json() == {"answer": None}


def test_the_effect_of_plays_is_not_said_if_nobody_was_held_out():
    outcomes = ServedOutcomes(datetime(2026, 7, 1), 90, 120, [QUARTER], [], None)
    assert NOBODY_HELD_OUT in render_offline("outcomes.html.jinja", outcomes_values(outcomes))


def test_the_retention_leads_to_the_outcomes(client: PageClient):
    assert '<a href="/outcomes">' in client.read("/retention")
