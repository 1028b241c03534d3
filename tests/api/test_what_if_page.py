"""The what-if page: two waterfalls that add up as shown, in the address alone, and never a promise."""

from dataclasses import replace

import pytest

from serving.pages.account.what_if_page import answer_what_if, what_if_values
from serving.views.what_if_view import view_what_if
from tests.support.api_client import ApiClient
from tests.support.page_client import PageClient, open_page_client


@pytest.fixture
def client(api_client: ApiClient) -> PageClient:
    return open_page_client(api_client.context)


@pytest.fixture
def path(api_client: ApiClient) -> str:
    return f"/accounts/{api_client.riskiest}/what-if"


def total(waterfall: dict) -> float:
    return round(waterfall["from"] + sum(part["points"] for part in waterfall["parts"]), 6)


def cheapest(client: PageClient, path: str) -> dict:
    return client.get(f"{path}?format=json").json()["suggestions"][0]


def test_without_changes_it_shows_the_risk_as_it_is(client: PageClient, path: str, api_client: ApiClient):
    document = client.get(f"{path}?format=json").json()
    served = api_client.get(f"/accounts/{api_client.riskiest}/risk")["score"]["risk"]
    assert (document["before"]["to"], document["after"]) == (round(served * 100, 1), None)
    page = client.read(path)
    assert "not what an action would cause" in page
    assert page.count('type="number"') > 20
    assert "<script" not in page


def test_a_suggested_change_gives_the_risk_it_promises(client: PageClient, path: str):
    change = cheapest(client, path)
    document = client.get(f"{path}?{change['signal']}={change['target']}&format=json").json()
    assert document["after"]["to"] == round(change["risk"] * 100, 1)
    assert document["after"]["to"] < document["before"]["to"]
    assert (document["changed"][0]["value"], document["changed"][0]["to"]) == (change["value"], change["target"])
    for waterfall in (document["before"], document["after"]):
        assert total(waterfall) == waterfall["to"]
    names = [[part["name"] for part in document[side]["parts"]] for side in ("before", "after")]
    assert names[0] == names[1]


def test_the_page_and_the_api_agree(client: PageClient, path: str, api_client: ApiClient):
    change = cheapest(client, path)
    body = {"account_id": api_client.riskiest, "changes": {change["signal"]: change["target"]}}
    assert api_client.post("/what-if", **body)["counterfactual_risk"] == change["risk"]


def test_a_form_leads_to_an_address_with_the_changes_alone(client: PageClient, path: str):
    change = cheapest(client, path)
    response = client.get(f"{path}?open_tickets=&{change['signal']}={change['target']}&events_28d=")
    name, value = response.url.query.decode().split("=")
    assert (name, float(value)) == (change["signal"], change["target"])
    assert "If " in response.text
    assert "instead of" in response.text


@pytest.mark.parametrize(
    ("query", "message"),
    [
        ("days_since_event_182d=1e9", "is not plausible"),
        ("days_since_event_182d=many", "must be a number"),
        ("days_since_event_182d=nan", "is not plausible"),
        ("tenure=1", "is not actionable"),
        ("<script>=1", "The model has no signal"),
    ],
)
def test_an_implausible_change_is_refused_with_a_page(client: PageClient, path: str, query: str, message: str):
    response = client.get(f"{path}?{query}")
    assert (response.status_code, message in response.text) == (422, True)
    assert "<script" not in response.text


def test_an_account_without_a_risk_has_no_what_if(client: PageClient):
    assert client.get("/accounts/nobody/what-if").status_code == 404


def test_nothing_is_recorded(client: PageClient, path: str, api_client: ApiClient):
    def count() -> int:
        with api_client.context.feedback.ledger.engine.connect() as connection:
            return connection.exec_driver_sql("select count(*) from risks").scalar_one()

    before = count()
    client.read(path)
    assert count() == before


def test_a_signal_that_almost_all_peers_have_at_one_value_can_be_changed_to_it(
    client: PageClient, path: str, api_client: ApiClient
):
    context, account_id, change = api_client.context, api_client.riskiest, cheapest(client, path)
    portfolio, name, target = context.find_portfolio(), change["signal"], change["target"]
    assert portfolio
    grids = portfolio.peers.percentiles.copy()
    grids[:, portfolio.peers.columns[name], :100] = target
    alike = replace(portfolio, peers=replace(portfolio.peers, percentiles=grids))
    view = view_what_if(context, alike, account_id, {name: str(target)})
    assert (view.signal(name).low, view.signal(name).high) == (target, target)
    assert f"{view.signal(name).label} were " in answer_what_if(view)
    as_it_is = view_what_if(context, alike, account_id, {})
    assert name in {suggestion.signal for suggestion in as_it_is.suggestions}
    assert what_if_values(as_it_is)["suggestions"]
