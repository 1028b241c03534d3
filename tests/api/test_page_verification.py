"""Verifying a page of an account: rendered again from the ledger it is the same, or what differs is named."""

import re
from dataclasses import replace
from datetime import timedelta
from typing import cast

import pytest

from configs.errors import RequestError
from serving.handlers.context import ServiceContext
from serving.handlers.score import ScoringRequest
from serving.ledger.entry_hash import recorded_entry
from serving.ledger.ledger import Ledger
from serving.ledger.reader import LedgerReader
from serving.load.pending_reply import PendingReply
from serving.pages.account.account_page import account_page_values
from serving.pages.account.page_record import hash_templates
from serving.pages.account.page_verification import verify_page
from serving.pages.rendering import render_offline
from serving.schemas.page_queries import AccountQuery
from serving.schemas.responses import Score
from serving.scoring.scorer import open_scorer
from serving.views.account_view import AccountView, view_account
from tests.support.api_client import ApiClient, open_api_client
from tests.support.ledger_rows import source_at
from tests.support.page_client import open_page_client
from tests.support.trained_model import EXTRACT_END, TrainedModel


@pytest.fixture(scope="module")
def api(trained: TrainedModel, tmp_path_factory) -> ApiClient:
    """A client of a service that served the riskiest account a week ago."""
    ledger = Ledger(tmp_path_factory.mktemp("verified") / "ledger.db")
    client = open_api_client(
        trained.state, open_scorer(trained.settings, trained.state, lambda: EXTRACT_END, ledger), ledger
    )
    (score,) = client.post("/score", account_ids=[client.riskiest])["scores"]
    earlier = cast(Score, {**score, "signals_as_of": "2023-06-24T00:00:00Z"})
    ledger.append([earlier], source_at(EXTRACT_END - timedelta(days=7)))
    return client


@pytest.fixture(scope="module")
def context(api: ApiClient) -> ServiceContext:
    api.get("/accounts", limit=1)  # waits for the portfolio
    return api.context


def open_view(context: ServiceContext, account_id: str, query: AccountQuery | None = None) -> AccountView:
    return view_account(context, account_id, query or AccountQuery(), ScoringRequest("r", "viewed", PendingReply()))


def write_report(view: AccountView) -> str:
    return render_offline("account.html.jinja", account_page_values(view, None))


@pytest.fixture(scope="module")
def report(api: ApiClient, context: ServiceContext) -> str:
    return write_report(open_view(context, api.riskiest))


@pytest.mark.parametrize("address", ["", "?since=2023-06-20", "?as_of=2023-06-25"])
def test_a_page_is_rendered_again_byte_for_byte(api: ApiClient, context: ServiceContext, address: str):
    page = open_page_client(context).read(f"/accounts/{api.riskiest}{address}")
    assert verify_page(context, page).status == "same"


def test_a_report_is_rendered_again_byte_for_byte(context: ServiceContext, report: str):
    assert verify_page(context, report).status == "same"


@pytest.mark.parametrize(
    ("place", "section"),
    [
        ('class="answer"', " has a risk of "),
        ('aria-labelledby="made-of"', "What the risk is made of"),
        ('aria-labelledby="horizons"', "Risk by horizon"),
        ('aria-labelledby="record"', "Record"),
    ],
)
def test_a_changed_digit_is_named_with_its_section(context: ServiceContext, report: str, place: str, section: str):
    digit = re.compile(r"(?<=[\d.])\d(?=[^<>]*<)").search(report, report.index(place))
    assert digit
    changed = report[: digit.start()] + str((int(digit[0]) + 1) % 10) + report[digit.end() :]
    result = verify_page(context, changed)
    (difference,) = result.differences
    assert (result.status, section in difference.section) == ("differs", True)
    assert difference.page != difference.ledger


def test_a_changed_picture_is_named_too(context: ServiceContext, report: str):
    result = verify_page(context, report.replace('<rect class="raise" x="', '<rect class="raise" x="1', 1))
    assert (result.status, len(result.differences)) == ("differs", 1)


def test_an_entry_that_the_ledger_does_not_hold_is_named(context: ServiceContext, report: str, tmp_path):
    empty = replace(context, ledger_reader=LedgerReader(Ledger(tmp_path / "other.db")))
    result = verify_page(empty, report)
    assert (result.status, result.entry) == ("not in the ledger", None)


def test_another_release_of_the_templates_is_said(context: ServiceContext, report: str):
    result = verify_page(context, report.replace(hash_templates(), "0" * 16))
    assert (result.status, result.record.templates) == ("other release", "0" * 16)
    assert result.entry


def test_a_page_of_a_model_that_was_replaced_is_compared_with_the_ledger(api: ApiClient, context: ServiceContext):
    view, source = open_view(context, api.riskiest), source_at(EXTRACT_END, version=99)
    assert view.score
    (score,) = context.scorer.to_response(context.scorer.score_accounts([api.riskiest]), None)["scores"]
    context.feedback.ledger.append([score], source)
    page = write_report(replace(view, entry=recorded_entry(score, source)))
    assert verify_page(context, page).status == "replaced since"
    risk = f"{score['risk'] * 100:.1f}\xa0%"
    result = verify_page(context, page.replace(f"a risk of {risk}", "a risk of 0.1\xa0%"))
    assert [(found.section, found.page, found.ledger) for found in result.differences] == [
        ("First sentence", "0.1\xa0%", risk)
    ]


def test_a_file_without_a_ledger_entry_cannot_be_verified(context: ServiceContext):
    with pytest.raises(RequestError, match="carries no ledger entry"):
        verify_page(context, "<html></html>")


@pytest.mark.parametrize(
    ("written", "changed", "code"),
    [("", "", 0), ("a risk of", "a chance of", 8), ("oarlock-record", "no-record", 9)],
)
def test_the_command_says_it_by_its_exit_code(run_report, written: str, changed: str, code: int):
    result = run_report(written, changed)
    assert (result.code, "byte for byte" in result.out) == (code, code == 0)


@pytest.fixture
def run_report(trained: TrainedModel, api: ApiClient, oarlock, tmp_path):
    """Writes the report of an account, replaces a text in it, and verifies it."""

    def run(written: str, changed: str):
        file = tmp_path / "report.html"
        assert oarlock("report", "account", api.riskiest, "--html", str(file), config=trained.config).code == 0
        text = file.read_text("utf-8")
        file.write_text(text.replace(written, changed) if written else text, "utf-8")
        return oarlock("verify", str(file), config=trained.config)

    return run
