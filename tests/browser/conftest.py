"""A service of the shipped extract for browsers: two served days, four weeks apart, and a key."""

# pyright: reportMissingImports=false
# (Playwright is an optional extra)

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from serving.ledger.ledger import Ledger
from serving.ledger.served_outcomes import NaturalRate, OutcomeRate, QuarterTruth, ServedOutcomes, write_outcomes
from serving.scoring.scorer import open_scorer
from serving.security.api_keys import create_key, save_key
from tests.support.api_client import open_api_client
from tests.support.browser_pages import CHROMIUM, open_chromium
from tests.support.served_days import serve_two_days
from tests.support.service_process import run_service
from tests.support.trained_model import EXTRACT_END, TrainedModel, copy_folder, open_trained_model

if TYPE_CHECKING:
    from playwright.sync_api import Browser

EARLIER = EXTRACT_END - timedelta(days=28)


RATE = OutcomeRate(0.512, 0.3, 0.7)
QUARTER = QuarterTruth(
    quarter="2023Q1", accounts=12_340, flagged=1_400, left=1_030, caught=370, missed=660, false_alarms=1_030,
    recall=RATE, precision=RATE, lead_days=41.0, left_without_mrr=123, revenue_lost=9_456_789.0,
    revenue_caught=6_123_456.0, revenue_share=RATE,
)  # fmt: skip
OUTCOMES = ServedOutcomes(EXTRACT_END, 60, 60, [QUARTER], [NaturalRate("mid", 900, 300, RATE, RATE, RATE)], None)


@dataclass(frozen=True)
class Site:
    """Where the pages are, the secret of a key that may read and give feedback, and the account most at risk."""

    address: str
    key: str
    riskiest: str


@pytest.fixture(scope="module")
def site(trained: TrainedModel, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """A running service that served every risk on the newest day, and half of it four weeks earlier."""
    folder = copy_folder(trained.config.parent, tmp_path_factory.mktemp("site") / "crm5")
    model = open_trained_model(folder)
    ledger = Ledger(model.state.ledger)
    scorer = open_scorer(model.settings, model.state, lambda: EXTRACT_END, ledger)
    client = open_api_client(model.state, scorer, ledger)
    ids = serve_two_days(client, ledger, (EARLIER, EXTRACT_END))
    write_outcomes(model.state.outcomes, OUTCOMES)
    secret, key = create_key("ada", ("read", "feedback"), 6_000, EXTRACT_END)
    save_key(ledger.engine, key)
    with run_service(model.config) as service:
        yield Site(str(service.client.base_url).rstrip("/"), secret, ids[0])


@pytest.fixture(scope="module")
def browser(site: Site) -> Iterator["Browser"]:  # noqa: ARG001 - no test can run a loop beside Playwright
    """Chromium; without it, or without Playwright, these tests are skipped."""
    pytest.importorskip("playwright", reason="requirements-browser.lock is not installed")
    if CHROMIUM is None:
        pytest.skip("Chromium is not installed")
    with open_chromium() as chromium:
        yield chromium
