"""The account page: its parts add up as they are shown, its past is what was served, and forms save feedback."""

import asyncio
import html
import threading
from dataclasses import replace
from datetime import timedelta
from itertools import pairwise
from urllib.parse import quote

import pytest

from features.store.publication import read_publication
from serving.handlers.context import ServiceContext
from serving.handlers.score import ScoringRequest
from serving.ledger.ledger import Ledger
from serving.load.pending_reply import PendingReply
from serving.load.thread_pools import THREADS
from serving.pages.account.account_answer import explain_account
from serving.pages.account.account_page import account_document
from serving.pages.account.risk_steps import Waterfall, change_waterfall, risk_waterfall
from serving.schemas.page_queries import AccountQuery
from serving.schemas.requests import FeedbackRequest
from serving.scoring.scorer import open_scorer
from serving.views import account_view
from serving.views.account_view import Standing, view_account
from tests.support.api_client import ApiClient, open_api_client
from tests.support.page_client import PageClient, open_page_client
from tests.support.served_days import serve_two_days
from tests.support.trained_model import EXTRACT_END, TrainedModel

EARLIER = EXTRACT_END - timedelta(days=28)
ACCOUNTS = 60
VIEWING = ScoringRequest("r", "viewed", PendingReply())


@pytest.fixture
def keyed_client(trained: TrainedModel, tmp_path) -> PageClient:
    """A client of a service with a ledger, and so with keys, of its own."""
    ledger = Ledger(tmp_path / "ledger.db")
    scorer = open_scorer(trained.settings, trained.state, lambda: EXTRACT_END, ledger)
    return open_page_client(open_api_client(trained.state, scorer, ledger).context)


@pytest.fixture(scope="module")
def api(trained: TrainedModel, tmp_path_factory) -> ApiClient:
    """A client of a service that served every account's risk on the newest day, and half of it four weeks earlier."""
    ledger = Ledger(tmp_path_factory.mktemp("pages") / "ledger.db")
    scorer = open_scorer(trained.settings, trained.state, lambda: EXTRACT_END, ledger)
    client = open_api_client(trained.state, scorer, ledger)
    client.context.events.open(read_publication(trained.state)["content_version"])
    serve_two_days(client, ledger, (EARLIER, EXTRACT_END), ACCOUNTS)
    return client


@pytest.fixture(scope="module")
def context(api: ApiClient) -> ServiceContext:
    return api.context


@pytest.fixture
def client(context: ServiceContext) -> PageClient:
    return open_page_client(context)


def total(document: dict) -> float:
    return round(document["from"] + sum(part["points"] for part in document["parts"]), 6)


def sums_up(waterfall: Waterfall) -> bool:
    """Whether every step leads to the next, and the last part to the end."""
    steps = waterfall.steps
    leads = all(before.level + after.points == after.level for before, after in pairwise(steps[:-1]))
    return leads and steps[-2].level == steps[-1].points


def test_the_parts_of_every_account_add_up_as_they_are_shown(api: ApiClient, context: ServiceContext):
    ids = [account["account_id"] for account in api.get("/accounts", limit=ACCOUNTS, sort="risk")["accounts"]]
    for account_id in ids:
        view = view_account(context, account_id, AccountQuery(since=EARLIER.date()), VIEWING)
        for waterfall in (risk_waterfall(view.score), change_waterfall(view)):
            assert waterfall is not None, view.change_reason
            assert sums_up(waterfall)
            for step in waterfall.steps:
                assert not step.signals or sum(signal.points for signal in step.signals) == step.points


def test_the_page_shows_what_its_json_says(client: PageClient, api: ApiClient):
    document = client.get(f"/accounts/{api.riskiest}?format=json").json()
    page = client.read(f"/accounts/{api.riskiest}")
    assert document["answer"].replace("\xa0", " ") in page.replace("\xa0", " ")
    assert total(document["risk"]) == document["risk"]["to"]
    assert f"{document['risk']['to']:.1f} %" in page
    for part in document["risk"]["parts"]:
        assert f'<span class="label">{part["name"]}</span>' in page
        assert round(sum(signal["points"] for signal in part["signals"]), 6) == part["points"]


def test_a_change_starts_and_ends_at_the_risks_that_were_served(client: PageClient, api: ApiClient):
    document = client.get(f"/accounts/{api.riskiest}?since={EARLIER.date()}&format=json").json()
    risk = api.context.ledger_reader.history(api.riskiest, 1)[0].risk
    assert (document["change"]["from"], document["change"]["to"]) == (round(risk * 50, 1), round(risk * 100, 1))
    assert total(document["change"]) == document["change"]["to"]


def test_a_change_since_a_day_without_a_risk_says_why(client: PageClient, api: ApiClient):
    assert "No risk of it had been served by that day." in client.read(f"/accounts/{api.riskiest}?since=2020-01-01")


def test_a_past_day_shows_what_was_served(client: PageClient, api: ApiClient):
    page = client.read(f"/accounts/{api.riskiest}?as_of={EARLIER.date()}")
    (entry,) = api.context.ledger_reader.served_by([api.riskiest], EARLIER.date()).values()
    assert f"had a risk of {entry.risk * 100:.1f}\xa0%" in page
    assert "As served by the end of 3 June 2023 (UTC)." in page
    assert "/feedback" not in page


def test_a_past_day_has_the_history_before_it_however_much_was_served_since(
    context: ServiceContext, api: ApiClient, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(account_view, "HISTORY_LIMIT", 1)
    view = view_account(context, api.riskiest, AccountQuery(as_of=EARLIER.date()), VIEWING)
    assert [entry.scored_at for entry in view.history] == [EARLIER]


def test_a_band_older_than_the_history_that_was_read_lasts_at_least_since_its_first_day(
    context: ServiceContext, api: ApiClient
):
    view = view_account(context, api.riskiest, AccountQuery(), VIEWING)
    standing = Standing("high", EARLIER, None, may_be_longer=True)
    sentences = explain_account(replace(view, standing=standing))
    assert "Not new: it has been high since at least 3 June 2023." in sentences


def test_the_history_leads_to_each_day(client: PageClient, api: ApiClient):
    page = client.read(f"/accounts/{api.riskiest}")
    assert f"as_of={EXTRACT_END.date()}" in page


def test_feedback_and_a_mark_are_saved_and_shown(client: PageClient, api: ApiClient):
    path = f"/accounts/{api.riskiest}"
    fields = {"verdict": "already_known", "note": "=cmd|x", "mark": "do_not_chase", "mark_until": "2030-01-01"}
    response = client.send(path, f"{path}/feedback", fields)
    assert (response.status_code, "Saved. Thank you." in response.text) == (200, True)
    assert "do not chase" in response.text
    assert "Leave it alone for now" in response.text
    removed = client.send(path, f"{path}/feedback", {"verdict": "right", "mark": "unmark"})
    assert "Leave it alone for now: somebody marked" not in removed.text


def test_feedback_needs_a_verdict(client: PageClient, api: ApiClient):
    path = f"/accounts/{api.riskiest}"
    response = client.send(path, f"{path}/feedback", {"note": "x"})
    assert (response.status_code, "verdict: field required" in response.text) == (422, True)


def test_feedback_needs_its_scope(keyed_client: PageClient):
    path = "/accounts/1096"
    keyed_client.sign_in(keyed_client.add_key("read"), path)
    assert "Your key has no right to give feedback." in keyed_client.read(path)
    assert keyed_client.send("/", f"{path}/feedback", {"verdict": "right"}).status_code == 403
    keyed_client.sign_in(keyed_client.add_key("read", "feedback"), path)
    assert keyed_client.send(path, f"{path}/feedback", {"verdict": "right"}).status_code == 200


@pytest.mark.parametrize("account_id", ["nobody", "<script>alert(1)</script>", "شركة", "a/b"])
def test_an_unknown_account_is_a_page_that_says_so(client: PageClient, account_id: str):
    response = client.get(f"/accounts/{quote(account_id, safe='')}")
    assert (response.status_code, "There is no account" in response.text) == (404, True)
    assert "<script" not in response.text


def test_an_account_without_a_risk_says_why(client: PageClient, context: ServiceContext):
    departed = next((str(number) for number in range(1, 3000) if _has_departed(context, str(number))), None)
    if departed is None:
        pytest.skip("every account of the extract has a subscription")
    assert "It had no running subscription" in client.read(f"/accounts/{departed}")


def _has_departed(context: ServiceContext, account_id: str) -> bool:
    return context.scorer.score_accounts([account_id]).unscored_reasons.get(account_id) == "no_running_subscription"


def test_times_name_their_zone(client: PageClient, api: ApiClient):
    assert "Signals as of 1 July 2023, 00:00 UTC" in client.read(f"/accounts/{api.riskiest}")


def test_the_risk_stands_with_what_refits_and_similar_past_accounts_say(client: PageClient, api: ApiClient):
    document = client.get(f"/accounts/{api.riskiest}?format=json").json()
    refits, similar = document["risk_in_refits"], document["similar"]
    assert refits["low"] <= document["risk"]["to"] / 100 <= refits["high"]
    assert similar["accounts"] == 50
    assert similar["low"] <= similar["left"] / 50 <= similar["high"]
    page = client.read(f"/accounts/{api.riskiest}")
    assert f"<b>{similar['left']} of 50</b> left within" in page
    assert "refits on resampled accounts" in page


def test_what_happened_can_be_filtered_by_family(client: PageClient, api: ApiClient):
    document = client.get(f"/accounts/{api.riskiest}?format=json").json()
    families = {event["family"] for event in document["events"]}
    assert document["events"]
    assert [event["at"] for event in document["events"]] == sorted(
        (event["at"] for event in document["events"]), reverse=True
    )
    family = min(families)
    only = client.get(f"/accounts/{api.riskiest}?format=json&events={family}").json()["events"]
    assert {event["family"] for event in only} == {family}
    assert "What happened" in client.read(f"/accounts/{api.riskiest}?events={family}")


def test_a_page_that_waits_for_raw_tables_and_the_ledgers_requests_do_not_share_threads(
    client: PageClient, api: ApiClient
):
    pool, hold = api.context.pools.ledger, threading.Event()
    calls = [threading.Thread(target=lambda: asyncio.run(pool.run(1, hold.wait, 30))) for _ in range(THREADS)]
    for call in calls:
        call.start()
    assert client.get(f"/accounts/{api.riskiest}?format=json").status_code == 200
    assert pool.requests == THREADS
    hold.set()
    for call in calls:
        call.join()


def test_feedback_is_marked_on_the_history(api: ApiClient):
    context = api.context
    feedback = FeedbackRequest(account_id=api.riskiest, verdict="wrong")
    context.feedback.save_feedback(feedback, EXTRACT_END - timedelta(days=3))
    view = view_account(context, api.riskiest, AccountQuery(), VIEWING)
    newest = view.history[0]
    earlier = replace(newest, id=0, as_of=EARLIER, version=newest.version + 1)
    document = account_document(replace(view, history=[newest, earlier]))
    history = document["history"]
    assert isinstance(history, list)
    first, last = history
    assert first["mark"] is None
    assert last["mark"].startswith(f"model version {newest.version}; ")
    assert "feedback: wrong" in last["mark"]


def test_a_missing_signal_says_what_that_means_on_the_page_and_in_json(api_client: ApiClient, client: PageClient):
    inputs = {signal.name: signal for signal in api_client.context.champions.champion().model.inputs}
    ids = [account["account_id"] for account in api_client.get("/accounts", limit=100)["accounts"]]
    missing = [
        (abs(signal["points"]), account["account_id"], signal)
        for account in api_client.post("/explain", account_ids=ids)["explained"]
        for driver in account["drivers"] + account["protective_drivers"]
        for signal in driver["signals"]
        if signal["value"] is None or "absent" in signal
    ]
    assert [signal for *_, signal in missing if signal.get("absent", "") != inputs[signal["name"]].absent] == []
    assert [signal for *_, signal in missing if signal["value"] is not None] == []
    _, account_id, signal = max((case for case in missing if "absent" in case[2]), key=lambda case: case[0])
    assert signal["absent"] in html.unescape(client.read(f"/accounts/{account_id}"))
