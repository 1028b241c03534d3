"""The disagreement board: what people said of an account puts it on the list, and every list says what it counts."""

import pytest

from serving.ledger.ledger import Ledger
from serving.scoring.scorer import open_scorer
from serving.views.disagreement_view import rating_key
from tests.support.api_client import ApiClient, open_api_client
from tests.support.page_client import PageClient, open_page_client
from tests.support.trained_model import EXTRACT_END, TrainedModel


@pytest.fixture(scope="module")
def api(trained: TrainedModel, tmp_path_factory) -> ApiClient:
    ledger = Ledger(tmp_path_factory.mktemp("disagreements") / "ledger.db")
    scorer = open_scorer(trained.settings, trained.state, lambda: EXTRACT_END, ledger)
    return open_api_client(trained.state, scorer, ledger)


@pytest.fixture(scope="module")
def client(api: ApiClient) -> PageClient:
    api.get("/accounts", limit=1)
    return open_page_client(api.context)


def read_json(client: PageClient) -> dict:
    return client.get("/disagreements?format=json&limit=200").json()


def test_an_owner_who_finds_a_high_risk_wrong_puts_the_account_on_the_list(api: ApiClient, client: PageClient):
    assert read_json(client)["judged"]["owner"] == 0
    api.post("/feedback", account_id=api.riskiest, verdict="wrong")
    document = read_json(client)
    seen = {account["account_id"]: account["seen"] for account in document["looks_fine"]}
    assert seen[api.riskiest].startswith("owner: the risk is wrong")
    assert document["judged"]["owner"] == 1
    api.post("/feedback", account_id=api.riskiest, verdict="right")
    assert api.riskiest not in {account["account_id"] for account in read_json(client)["looks_fine"]}


def test_the_lists_are_in_the_order_of_their_disagreement(client: PageClient):
    document = read_json(client)
    fine = [account["disagreement"] for account in document["looks_fine"]]
    bad = [account["disagreement"] for account in document["looks_bad"]]
    assert (fine, bad) == (sorted(fine, reverse=True), sorted(bad))
    assert all(account["band"] != "low" or account["more_used_than"] < 0.25 for account in document["looks_fine"])
    assert all(account["band"] == "low" for account in document["looks_bad"])


def test_the_page_says_what_it_shows(client: PageClient):
    page = client.read("/disagreements")
    assert read_json(client)["answer"] in page
    assert "What a disagreement is" in page


def test_an_address_that_is_not_valid_says_why(client: PageClient):
    assert client.get("/disagreements?limit=0").status_code == 422


def test_accounts_are_rated_once_until_feedback_or_a_publish(api: ApiClient, client: PageClient):
    read_json(client)
    portfolio, ratings = client.context.find_portfolio(), client.services.ratings
    assert portfolio is not None
    key = rating_key(client.context, portfolio)
    rated = ratings.find(key)
    client.get("/disagreements?limit=5")
    assert rated is not None
    assert ratings.find(key) is rated
    assert ratings.find(key._replace(owner="ada")) is None
    assert ratings.find(key._replace(written=key.written + 1)) is None
    api.post("/feedback", account_id=api.riskiest, verdict="wrong")
    assert ratings.find(rating_key(client.context, portfolio)) is None
