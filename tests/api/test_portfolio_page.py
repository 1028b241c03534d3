"""The portfolio page: what it says is what it shows, and every link of it leads to what it names."""

import csv
import io
import re
from datetime import datetime, timedelta
from urllib.parse import urlencode

import pytest

from configs.clock import format_instant
from serving.handlers.context import ServiceContext
from serving.ledger.ledger import Ledger
from serving.schemas.responses import Score
from serving.scoring.scorer import open_scorer
from tests.support.api_client import ApiClient, open_api_client
from tests.support.ledger_rows import source_at
from tests.support.page_client import PageClient, open_page_client
from tests.support.trained_model import EXTRACT_END, TrainedModel

WEEK_AGO = EXTRACT_END - timedelta(days=7)


@pytest.fixture(scope="module")
def api(trained: TrainedModel, tmp_path_factory) -> ApiClient:
    """A client of a service that served every risk a week ago: the riskiest account's at a tenth of today's."""
    ledger = Ledger(tmp_path_factory.mktemp("pages") / "ledger.db")
    client = open_api_client(
        trained.state, open_scorer(trained.settings, trained.state, lambda: EXTRACT_END, ledger), ledger
    )
    top = client.get("/accounts", limit=1)["accounts"][0]["account_id"]
    ids = [account["account_id"] for account in client.get("/accounts", limit=500)["accounts"]]
    scores = client.context.scorer.to_response(client.context.scorer.score_accounts(ids), 1)["scores"]
    served = [_as_of(score, WEEK_AGO, 0.1 if score["account_id"] == top else 1) for score in scores]
    ledger.append(served, source_at(WEEK_AGO + timedelta(hours=6)))
    return client


def _as_of(score: Score, day: datetime, factor: float) -> Score:
    return {**score, "signals_as_of": format_instant(day), "risk": score["risk"] * factor}


@pytest.fixture(scope="module")
def context(api: ApiClient) -> ServiceContext:
    return api.context


@pytest.fixture(scope="module")
def client(context: ServiceContext) -> PageClient:
    return open_page_client(context)


def read_json(client: PageClient, **query) -> dict:
    return client.get(f"/?{urlencode({**query, 'format': 'json'})}").json()


def test_the_page_lists_the_accounts_of_the_api_in_its_order(client: PageClient, api: ApiClient):
    listed = api.get("/accounts", limit=25)["accounts"]
    shown = read_json(client, limit=25)["accounts"]
    assert [account["account_id"] for account in shown] == [account["account_id"] for account in listed]
    assert [account["risk"] for account in shown] == [round(account["risk"], 3) for account in listed]


def test_the_sentence_counts_what_its_links_show(client: PageClient):
    document = read_json(client)
    half, total, new = re.fullmatch(
        r"([\d,]+) of ([\d,]+) accounts carry half of the revenue at risk; "
        r"([\d,]+) (?:is|are) new since Saturday 24 June.",
        document["answer"],
    ).groups()  # type: ignore[union-attr]
    assert [read_json(client, show=show)["total"] for show in ("half", "all", "new")] == [
        int(text.replace(",", "")) for text in (half, total, new)
    ]
    assert int(new) >= 1
    carried = sum(account["revenue_at_risk"] for account in read_json(client, show="half", limit=500)["accounts"])
    assert carried >= document["totals"]["revenue_at_risk"] / 2


def test_the_account_whose_risk_rose_is_new_and_shows_its_change(client: PageClient):
    (new, *_) = read_json(client, show="new", sort="change")["accounts"]
    assert new["change"] == pytest.approx(new["risk"] * 0.9, abs=0.001)
    assert len(new["recent_risks"]) == 2


def test_only_the_account_whose_risk_rose_has_an_arrow(client: PageClient):
    trends = {account["account_id"]: account["trend"] for account in read_json(client, limit=500)["accounts"]}
    top = read_json(client, sort="change", limit=1)["accounts"][0]["account_id"]
    assert trends.pop(top) == "rising"
    assert set(trends.values()) == {"steady"}
    assert client.get(f"/accounts/{top}?format=json").json()["trend"] == "rising"
    assert "What the trend means" in client.read("/")


def test_a_past_day_has_the_trend_and_the_risks_of_that_day(trained: TrainedModel, tmp_path):
    ledger = Ledger(tmp_path / "ledger.db")
    api = open_api_client(
        trained.state, open_scorer(trained.settings, trained.state, lambda: EXTRACT_END, ledger), ledger
    )
    ids = [account["account_id"] for account in api.get("/accounts", limit=100)["accounts"]]
    scores = api.context.scorer.to_response(api.context.scorer.score_accounts(ids), 1)["scores"]
    served = [_as_of(score, WEEK_AGO, 0.1 if score["account_id"] == ids[0] else 1) for score in scores]
    ledger.append(served, source_at(WEEK_AGO))
    ledger.append(scores, source_at(EXTRACT_END))
    pages, now, before = open_page_client(api.context), EXTRACT_END.date(), WEEK_AGO.date()
    trends = {row["account_id"]: row["trend"] for row in read_json(pages, as_of=now, limit=100)["accounts"]}
    assert [account_id for account_id, trend in trends.items() if trend != "steady"] == ids[:1]
    (shown,) = read_json(pages, as_of=now, q=ids[0])["accounts"]
    assert (shown["trend"], len(shown["recent_risks"])) == ("rising", 2)
    (earlier,) = read_json(pages, as_of=before, q=ids[0])["accounts"]
    assert (earlier["trend"], len(earlier["recent_risks"])) == (None, 1)
    assert "Trend since 24 June 2023" in pages.read(f"/accounts/{ids[0]}?as_of={now}")
    paths = ((ids[0], now), (ids[1], now), (ids[1], before))
    documents = [pages.get(f"/accounts/{account_id}?as_of={day}&format=json").json() for account_id, day in paths]
    assert [document["trend"] for document in documents] == ["rising", "steady", None]


def test_the_trend_of_usage_is_that_of_the_signals_of_the_day(client: PageClient):
    usage = {account["account_id"]: account["usage_trend"] for account in read_json(client, limit=500)["accounts"]}
    known = [account_id for account_id, trend in usage.items() if trend != "not_known"]
    assert len(known) > len(usage) / 2
    for account_id in (known[0], next(account_id for account_id in usage if account_id not in known)):
        assert client.get(f"/accounts/{account_id}?format=json").json()["usage_trend"] == usage[account_id]
    # The signals of the week before are not in the history.
    past = read_json(client, as_of=WEEK_AGO.date(), limit=500)["accounts"]
    assert {account["usage_trend"] for account in past} == {"not_known"}
    assert "What the usage trend means" in client.read("/")


@pytest.mark.parametrize(
    "sort", ["revenue_at_risk", "risk", "change", "mrr", "renewal", "name", "owner", "segment", "family"]
)
@pytest.mark.parametrize("order", ["asc", "desc"])
def test_pages_hold_every_account_once_in_every_order(client: PageClient, sort: str, order: str):
    cursor, ids = None, []
    while True:
        document = read_json(client, sort=sort, order=order, limit=500, **({"cursor": cursor} if cursor else {}))
        ids += [account["account_id"] for account in document["accounts"]]
        cursor = document["next_cursor"]
        if cursor is None:
            break
    assert (len(ids), len(set(ids))) == (document["total"], document["total"])


def test_a_search_finds_names_and_ids_without_case(client: PageClient):
    account = read_json(client)["accounts"][0]
    assert account in read_json(client, q=account["account_id"].lower())["accounts"]
    assert read_json(client, q="no such account")["total"] == 0


@pytest.mark.parametrize("name", ["band", "family", "owner", "segment"])
def test_a_filter_shows_the_accounts_that_have_the_value(client: PageClient, name: str):
    accounts = read_json(client, limit=500)["accounts"]
    value = next((account[name] for account in accounts if account[name]), None)
    if value is None:
        pytest.skip(f"the extract has no {name}")
    expected = {account["account_id"] for account in accounts if account[name] == value}
    filtered = read_json(client, **{name: value}, limit=500)
    assert expected == {account["account_id"] for account in filtered["accounts"]} & {
        account["account_id"] for account in accounts
    }


def test_a_past_day_shows_what_was_served(client: PageClient):
    document = read_json(client, as_of=str(WEEK_AGO.date()), sort="risk", limit=500)
    assert document["as_of"] == format_instant(WEEK_AGO)
    now = {account["account_id"]: account["risk"] for account in read_json(client, limit=500)["accounts"]}
    served = {account["account_id"]: account["risk"] for account in document["accounts"]}
    changed = [account_id for account_id in now if now[account_id] != served.get(account_id)]
    assert len(changed) == 1
    assert "As served by the end of 24 June 2023" in client.read(f"/?as_of={WEEK_AGO.date()}")


def test_csv_holds_what_the_page_shows(client: PageClient):
    response = client.get("/?band=low&limit=25&format=csv")
    assert response.headers["content-disposition"] == 'attachment; filename="oarlock-accounts-2023-07-01.csv"'
    rows = list(csv.DictReader(io.StringIO(response.text)))
    accounts = read_json(client, band="low", limit=25)["accounts"]
    assert [(row["account_id"], float(row["risk"])) for row in rows] == [
        (account["account_id"], account["risk"]) for account in accounts
    ]


@pytest.mark.parametrize(
    ("query", "message"),
    [
        ("sort=luck", "sort: input should be"),
        ("cursor=nothing", "The cursor is not valid."),
        ("limit=9999", "limit: input should be less than or equal to 500"),
        ("colour=red", "colour is not known"),
    ],
)
def test_an_address_that_is_not_valid_says_why(client: PageClient, query: str, message: str):
    response = client.get(f"/?{query}")
    assert (response.status_code, message in response.text) == (422, True)


def test_a_day_of_which_nothing_was_served_is_a_page_that_says_so(client: PageClient):
    response = client.get("/?as_of=2020-01-01")
    assert (response.status_code, "No risk had been served by 2020-01-01." in response.text) == (404, True)


def test_the_page_asks_no_other_host_and_runs_no_script(client: PageClient):
    response = client.get("/")
    policy = response.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "script-src" not in policy
    assert "<script" not in response.text
    assert " style=" not in response.text
    links = re.findall(r'(?:href|src|action)="([^"]+)"', response.text)
    assert [link for link in links if not link.startswith(("/", "#"))] == []


def test_every_local_link_of_the_page_is_answered(client: PageClient):
    links = {link.replace("&amp;", "&") for link in re.findall(r'href="(/[^"#]*)"', client.read("/?limit=25"))}
    pages = {link for link in links if not link.startswith(("/docs", "/accounts/"))}
    assert {link: client.get(link).status_code for link in pages} == dict.fromkeys(pages, 200)
