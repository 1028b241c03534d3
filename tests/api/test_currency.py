"""The currency stands beside every amount: on pages, in the API, in files, and in the ledger."""

import csv
import io
import json
import re
import sqlite3
from contextlib import closing
from dataclasses import replace
from datetime import timedelta

import pytest

from configs.errors import NotReady
from configs.files import write_json
from configs.settings_file import read_settings
from configs.state_dir import open_state_dir
from features.store.revenue_table import read_revenue_table, write_revenue_table
from serving.exports.field_map import ExportRow, read_field_map
from serving.ledger.ledger import Ledger
from serving.schemas.responses import Score
from serving.scoring.scorer import open_scorer
from serving.scoring.signal_lookup import published_columns, require_signals
from tests.support.api_client import ApiClient, open_api_client
from tests.support.ledger_rows import source_at
from tests.support.page_client import PageClient, open_page_client
from tests.support.trained_model import EXTRACT_END, TrainedModel, copy_without_risks, open_trained_model

WEEK_AGO = EXTRACT_END - timedelta(days=7)


@pytest.fixture(scope="module")
def company(trained: TrainedModel, tmp_path_factory) -> TrainedModel:
    """The shared model, of a company whose amounts are in pounds."""
    config = copy_without_risks(trained, tmp_path_factory.mktemp("pounds") / "model")
    state = open_state_dir(read_settings(config))
    write_json(state.publication, {**json.loads(state.publication.read_text()), "currency": "GBP"})
    history = read_revenue_table(state.revenue_table)
    write_revenue_table(state.revenue_table, replace(history, currency="GBP"))
    return open_trained_model(config.parent)


@pytest.fixture(scope="module")
def ledger(tmp_path_factory) -> Ledger:
    return Ledger(tmp_path_factory.mktemp("ledger") / "ledger.db")


@pytest.fixture(scope="module")
def api(company: TrainedModel, ledger: Ledger) -> ApiClient:
    scorer = open_scorer(company.settings, company.state, lambda: EXTRACT_END, ledger)
    return open_api_client(company.state, scorer, ledger)


@pytest.fixture(scope="module")
def client(api: ApiClient) -> PageClient:
    return open_page_client(api.context)


def test_every_amount_of_the_api_has_its_currency(api: ApiClient):
    (score,) = api.post("/score", account_ids=[api.riskiest])["scores"]
    work_list = api.get("/work-list")
    amounts = [
        score["revenue"],
        api.get("/accounts", limit=1)["accounts"][0],
        api.get(f"/accounts/{api.riskiest}/risk")["score"]["revenue"],
        api.get(f"/accounts/{api.riskiest}/history")["risks"][0],
        api.post("/explain", account_ids=[api.riskiest])["explained"][0]["revenue"],
        work_list,
        work_list["calls"][0],
    ]
    assert [amount["currency"] for amount in amounts] == ["GBP"] * len(amounts)


@pytest.mark.parametrize(
    ("path", "texts"),
    [
        ("/?show=all", [">Revenue at risk, GBP<", ">MRR, GBP<", "\u00a0GBP"]),
        ("/work-list", [">Worth, GBP<", ">MRR, GBP<", "\u00a0GBP."]),
        ("/disagreements", [">MRR, GBP<"]),
        ("/retention", [">Start, GBP<", "\u00a0GBP a month that"]),
    ],
)
def test_every_page_names_the_currency_of_its_amounts(client: PageClient, path: str, texts: list[str]):
    page = client.read(path)
    assert [text for text in texts if text not in page] == []


def test_the_page_of_an_account_names_it(client: PageClient, api: ApiClient):
    assert client.read(f"/accounts/{api.riskiest}").count("\u00a0GBP") >= 2


@pytest.mark.parametrize("path", ["/?show=all&format=csv", "/retention?format=csv", "/retention?format=months.csv"])
def test_every_row_of_a_csv_file_has_it(client: PageClient, path: str):
    rows = list(csv.DictReader(io.StringIO(client.get(path).text)))
    assert rows
    assert {row["currency"] for row in rows} == {"GBP"}


def test_an_export_and_the_ledger_have_it(api: ApiClient, ledger: Ledger, company: TrainedModel):
    api.post("/score", account_ids=[api.riskiest])
    with closing(sqlite3.connect(ledger.location)) as connection:
        assert connection.execute("select distinct currency from risks").fetchall() == [("GBP",)]
    score = api.context.scorer.to_response(api.context.scorer.score_accounts([api.riskiest]), 1)["scores"][0]
    details = api.context.account_table.details([api.riskiest])[api.riskiest]
    row = ExportRow(score, details, None, company.settings.bands)
    (exported,) = read_field_map(None).to_table([row]).to_pylist()
    assert exported["currency"] == "GBP"


def test_amounts_in_another_currency_are_not_compared(company: TrainedModel, tmp_path):
    ledger = Ledger(tmp_path / "ledger.db")
    scorer = open_scorer(company.settings, company.state, lambda: EXTRACT_END, ledger)
    api = open_api_client(company.state, scorer, ledger)
    ids = [account["account_id"] for account in api.get("/accounts", limit=50)["accounts"]]
    day = f"{WEEK_AGO:%Y-%m-%d}T00:00:00Z"
    scores = scorer.to_response(scorer.score_accounts(ids), 1)["scores"]
    served: list[Score] = [{**score, "signals_as_of": day} for score in scores]
    ledger.append(served, {**source_at(WEEK_AGO + timedelta(hours=6)), "currency": "USD"})
    page = open_page_client(api.context).read("/?show=all")
    assert " risk, a month</small>" in page  # in place of a change
    assert re.search(r"Accounts at risk of leaving</dt><dd>[\d,]+\s<small>.+ since ", page)


def test_a_model_of_amounts_in_another_currency_gives_no_risk(api: ApiClient):
    model, columns = api.context.champions.champion().model, published_columns(api.context.scorer.signals)
    inputs = [replace(signal, unit="EUR a month") if signal.name == "mrr" else signal for signal in model.inputs]
    of_your_own = replace(model.inputs[0], name="messages_28d", unit="SMS")
    require_signals(model, columns)
    assert replace(model, inputs=(of_your_own, *model.inputs)).currency is None
    with pytest.raises(NotReady, match="trained with amounts in EUR, and the published ones are in GBP"):
        require_signals(replace(model, inputs=tuple(inputs)), columns)
