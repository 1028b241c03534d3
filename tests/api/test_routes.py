"""Every route as a client sees it: responses match their schemas, sums add up, and missing risks have a reason."""

import shutil
import sqlite3
from dataclasses import replace
from datetime import timedelta
from typing import cast
from urllib.parse import quote

import httpx
import lightgbm
import numpy as np
import pytest
from pydantic import TypeAdapter

from configs.clock import format_instant
from configs.files import read_json, write_json
from configs.state_dir import StateDir
from features.store.account_table import AccountDetails, AccountTable, write_account_table
from serving.app import ENDPOINTS
from serving.ledger.ledger import Ledger
from serving.schemas import responses as replies
from serving.schemas.responses import Score
from serving.scoring.champion import ChampionProvider
from serving.scoring.champion_pointer import bundle_folder
from serving.scoring.model_bundle import make_bundle, save_bundle
from serving.scoring.scorer import open_scorer
from serving.treeshap.kernel import Kernel
from tests.support.api_client import ApiClient, open_api_client
from tests.support.ledger_rows import source_at
from tests.support.trained_model import EXTRACT_END, TrainedModel, copy_folder
from training.registry.mlflow_registry import open_registry

EXACT = 1e-9
FEEDBACK = {"account_id": "1096", "verdict": "right"}


@pytest.fixture
def isolated_client(trained: TrainedModel, tmp_path) -> ApiClient:
    """A client of a state that a test may break; the model is the shared one."""
    state = StateDir(tmp_path / "state")
    for part in ("feast", "history"):
        copy_folder(trained.state.folder / part, state.folder / part)
    for file in (trained.state.publication, trained.state.account_table):
        shutil.copy(file, state.folder)
    copy_folder(trained.state.mlflow, state.mlflow)
    ledger, champions = Ledger(state.ledger), ChampionProvider(trained.state, trained.settings.name)
    scorer = replace(open_scorer(trained.settings, state, lambda: EXTRACT_END, ledger), champions=champions)
    return open_api_client(state, scorer, ledger)


@pytest.fixture
def riskiest(api_client: ApiClient) -> str:
    return api_client.riskiest


def test_every_route_declares_its_scope():
    assert {endpoint.scope for endpoint in ENDPOINTS} == {"public", "score", "read", "feedback"}


def test_the_openapi_has_an_example_for_every_field(api_client: ApiClient):
    document = api_client.get("/openapi.json")
    schemas = document["components"]["schemas"]
    without = [
        f"{name}.{field}"
        for name, schema in schemas.items()
        for field, schema_field in schema.get("properties", {}).items()
        if not (schema_field.get("examples") and schema_field.get("description"))
    ]
    assert without == []
    assert set(document["paths"]) >= {
        "/score",
        "/explain",
        "/change",
        "/what-if",
        "/accounts",
        "/work-list",
        "/outcomes",
    }
    assert all("422" in path.get("post", {"responses": ["422"]})["responses"] for path in document["paths"].values())


@pytest.mark.parametrize(
    ("method", "path", "content", "model"),
    [
        ("POST", "/score", {"account_ids": ["1096", "nobody"]}, replies.ScoreResponse),
        ("POST", "/explain", {"account_ids": ["1096", "nobody"]}, replies.ExplainResponse),
        ("POST", "/what-if", {"account_id": "1096", "suggest": 3}, replies.WhatIfResponse),
        ("POST", "/change", {"account_ids": ["1096", "nobody"], "since": "2023-07-01"}, replies.ChangeResponse),
        ("POST", "/feedback", {"account_id": "1096", "verdict": "right"}, replies.FeedbackResponse),
        (
            "POST",
            "/outcomes",
            {"outcomes": [{"account_id": "1096", "outcome": "stayed", "on": "2023-06-30"}]},
            replies.OutcomesResponse,
        ),
        ("GET", "/accounts", {"limit": 3, "sort": "risk"}, replies.AccountsResponse),
        ("GET", "/accounts/1096/risk", {}, replies.RiskResponse),
        ("GET", "/accounts/1096/history", {"limit": 1}, replies.HistoryResponse),
        ("GET", "/work-list", {"limit": 3}, replies.WorkListResponse),
        ("GET", "/model", {}, replies.ModelResponse),
        ("GET", "/models", {}, replies.ModelsResponse),
        ("GET", "/ready", {}, replies.ReadyResponse),
    ],
)
def test_a_response_matches_its_schema(api_client: ApiClient, method, path, content, model):
    api_client.post("/score", account_ids=["1096"])
    response = api_client.post(path, **content) if method == "POST" else api_client.get(path, **content)
    TypeAdapter(model).validate_python(response)


def test_a_newer_account_table_gives_no_account_the_risk_of_another(isolated_client: ApiClient):
    """A publish replaces the table before the portfolio; a new account shifts the rows of all others."""
    before = isolated_client.get("/accounts", sort="risk", limit=500)["accounts"]
    called = {call["account_id"]: call["value"] for call in isolated_client.get("/work-list", limit=50)["calls"]}
    file = isolated_client.context.state.account_table
    table = AccountTable(file)
    accounts = table.details_by_id(table.columns("account_id")["account_id"]).values()
    write_account_table(file, table.as_of, [AccountDetails("0-new"), *accounts])
    assert isolated_client.get("/accounts", sort="risk", limit=500)["accounts"] == before
    calls = isolated_client.get("/work-list", limit=50)["calls"]
    assert {call["account_id"]: call["value"] for call in calls} == called != {}


def test_drivers_add_up_to_the_risk_at_every_horizon(api_client: ApiClient, riskiest):
    (explanation,) = api_client.post("/explain", account_ids=[riskiest])["explained"]
    drivers = [*explanation["drivers"], *explanation["protective_drivers"]]
    assert explanation["base"] + sum(driver["points"] for driver in drivers) == pytest.approx(
        explanation["risk"], abs=EXACT
    )
    for within in explanation["horizons"]:
        assert within["base"] + sum(within["points"].values()) == pytest.approx(within["risk"], abs=EXACT)
        assert within["risk"] == explanation["risks"][str(within["days"])]
    risks = [within["risk"] for within in explanation["horizons"]]
    assert risks == sorted(risks)


def test_an_explanation_has_percentiles_and_a_play(api_client: ApiClient, riskiest):
    api_client.get("/accounts")
    (explanation,) = api_client.post("/explain", account_ids=[riskiest])["explained"]
    ranked = [s["percentile"] for d in explanation["drivers"] for s in d["signals"] if s["percentile"] is not None]
    assert ranked
    assert all(0 <= percentile <= 100 for percentile in ranked)
    assert explanation["peers"] == "small"
    assert explanation["play"]["suggested"]
    assert explanation["play"]["family"] == explanation["drivers"][0]["family"]


def test_a_past_risk_is_returned_as_it_was_served(api_client: ApiClient):
    (served,) = api_client.post("/score", account_ids=["2072"], drivers=1)["scores"]
    past = api_client.request("POST", "/score?as_of=2023-07-01", json={"account_ids": ["2072", "nobody"]}).json()
    assert past["scores"] == [{**served, "scored_at": format_instant(EXTRACT_END), "version": 1}]
    assert past["not_scored"] == [{"account_id": "nobody", "reason": "never_scored"}]
    risk_response = api_client.get("/accounts/2072/risk", as_of="2023-07-01")
    assert risk_response["score"]["risk"] == served["risk"]
    assert _error(api_client.request("GET", "/accounts/2072/risk?as_of=2023-06-30")) == (404, "never_scored")
    listed = {
        account["account_id"]: account["risk"]
        for account in api_client.get("/accounts", as_of="2023-07-01")["accounts"]
    }
    assert listed["2072"] == served["risk"]


def test_the_parts_of_a_change_add_up(api_client: ApiClient):
    before = EXTRACT_END - timedelta(days=30)
    served = api_client.post("/score", account_ids=["1096", "508"])["scores"]
    # The risk served a month before: the signals of that day no longer give it exactly.
    month_ago = [{**score, "risk": score["risk"] / 2, "signals_as_of": before.isoformat()} for score in served]
    api_client.context.ledger_reader.ledger.append(cast(list[Score], month_ago), source_at(before))
    response = api_client.post("/change", account_ids=["1096", "508"], since="2023-06-01")
    assert [change["account_id"] for change in response["changed"]] == ["1096", "508"]
    for change, earlier, later in zip(response["changed"], month_ago, served, strict=True):
        parts = ("signals", "model", "calibration", "data_corrections")
        assert sum(change[part] for part in parts) == pytest.approx(change["change"], abs=EXACT)
        families = sum(family["points"] for family in change["families"])
        assert families + change["base"] == pytest.approx(change["signals"], abs=EXACT)
        assert (change["before"]["risk"], change["after"]["risk"]) == pytest.approx(
            (earlier["risk"], later["risk"]), abs=EXACT
        )
        assert change["model"] == change["calibration"] == pytest.approx(0, abs=EXACT)
        assert change["signals"] != 0


def test_a_change_of_version_has_model_and_calibration_parts(isolated_client: ApiClient, trained: TrainedModel):
    """Version 2 has half the trees of version 1, and a calibrator with higher intercepts."""
    registry = open_registry(trained.state, trained.settings.name)
    model = registry.load_model(registry.get(1))
    half = lightgbm.Booster(model_str=model.booster_text).model_to_string(num_iteration=model.booster.num_trees() // 2)
    no_signals = np.full((1, len(model.inputs)), np.nan)
    base = np.asarray(lightgbm.Booster(model_str=half).predict(no_signals, pred_contrib=True))[0, -1]
    higher = replace(model.calibrator, intercepts=tuple(intercept + 0.5 for intercept in model.calibrator.intercepts))
    second = replace(model, booster_text=half, base_margin=float(base), calibrator=higher)
    state = isolated_client.context.state
    state.compiled_kernels.symlink_to(trained.state.compiled_kernels)
    shutil.copytree(trained.state.bundles, state.bundles)
    save_bundle(make_bundle(second, Kernel(state.compiled_kernels)), bundle_folder(state, 2))
    shipped = read_json(trained.state.champion_pointer)
    newer = {"version": {**shipped["version"], "number": 2}, "folder": bundle_folder(state, 2).name}

    ledger = isolated_client.context.ledger_reader.ledger
    own_client = open_api_client(state, open_scorer(trained.settings, state, lambda: EXTRACT_END, ledger), ledger)
    write_json(state.champion_pointer, newer)
    (before,) = own_client.post("/score", account_ids=["1096"])["scores"]
    write_json(state.champion_pointer, shipped)
    own_client.context.champions.refresh()
    (change,) = own_client.post("/change", account_ids=["1096"], since="2023-07-01")["changed"]

    assert (change["before"]["version"], change["after"]["version"]) == (2, 1)
    assert change["before"]["risk"] == before["risk"]
    assert change["model"] + change["calibration"] == pytest.approx(change["change"], abs=EXACT)
    assert (change["signals"], change["data_corrections"]) == pytest.approx((0, 0), abs=EXACT)
    assert change["calibration"] < 0 != change["model"]


def test_a_repeated_id_is_scored_once(api_client: ApiClient):
    assert len(api_client.post("/score", account_ids=["1096", "1096"])["scores"]) == 1


def test_a_change_needs_two_risks(api_client: ApiClient):
    response = api_client.post("/change", account_ids=["nobody"], since="2023-07-01")
    assert response["not_scored"] == [{"account_id": "nobody", "reason": "never_scored"}]


def test_what_if_suggestions_lower_the_risk(api_client: ApiClient, riskiest):
    response = api_client.post("/what-if", account_id=riskiest, suggest=3)
    risks = [response["risk"], *(suggestion["risk"] for suggestion in response["suggestions"])]
    assert risks == sorted(risks, reverse=True)
    first = response["suggestions"][0]
    what_if = api_client.post("/what-if", account_id=riskiest, changes={first["signal"]: first["to"]})
    assert what_if["counterfactual_risk"] == pytest.approx(first["risk"], abs=EXACT)
    moved = sum(family["points"] for family in what_if["family_changes"])
    assert moved == pytest.approx(what_if["counterfactual_risk"] - what_if["risk"], abs=EXACT)
    assert what_if["causal"] is False


@pytest.mark.parametrize("changes", [{"mrr": 1.0}, {"unheard_of": 1.0}, {"longest_usage_gap_91d": 1e9}])
def test_what_if_refuses_implausible_changes(api_client: ApiClient, riskiest, changes):
    response = api_client.request("POST", "/what-if", json={"account_id": riskiest, "changes": changes})
    assert (response.status_code, response.json()["error"]["code"]) == (422, "not_plausible")


def test_pages_contain_every_account_once(api_client: ApiClient):
    ids, cursor = [], None
    while True:
        page = api_client.get("/accounts", sort="risk", limit=500, **({"cursor": cursor} if cursor else {}))
        ids += [account["account_id"] for account in page["accounts"]]
        cursor = page["next_cursor"]
        if cursor is None:
            break
    assert len(ids) == len(set(ids)) == page["total"]


def test_a_listed_risk_equals_the_scored_risk(api_client: ApiClient):
    listed = api_client.get("/accounts", sort="risk", limit=20)["accounts"]
    scored = api_client.post("/score", account_ids=[account["account_id"] for account in listed])["scores"]
    assert [account["risk"] for account in listed] == pytest.approx([score["risk"] for score in scored], abs=EXACT)
    assert [account["band"] for account in listed] == [score["band"] for score in scored]


def test_the_work_list_ranks_calls_and_explains_exclusions(api_client: ApiClient):
    work_list = api_client.get("/work-list", limit=5, per_owner=3)
    values = [call["value"] for call in work_list["calls"]]
    assert len(values) == 3
    assert values == sorted(values, reverse=True)
    assert all(call["play"]["suggested"] for call in work_list["calls"])
    assert {account["suppressed_reason"] for account in work_list["excluded"]} >= {"over_capacity"}


def test_a_marked_account_is_not_on_the_work_list(api_client: ApiClient):
    first = api_client.get("/work-list", limit=1)["calls"][0]["account_id"]
    api_client.post("/feedback", account_id=first, verdict="already_known", mark="do_not_chase")
    again = api_client.get("/work-list", limit=1)
    assert again["calls"][0]["account_id"] != first
    assert again["excluded"][0]["suppressed_reason"] == "do_not_chase"
    assert api_client.get(f"/accounts/{first}/risk")["play"]["suppressed_reason"] == "do_not_chase"
    api_client.post("/feedback", account_id=first, verdict="right", unmark=True)


def test_the_risk_of_an_unknown_account_is_not_found(api_client: ApiClient):
    response = api_client.request("GET", "/accounts/nobody/risk")
    assert (response.status_code, response.json()["error"]["code"]) == (404, "unknown_account")


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("GET", "/accounts/nobody/history", None),
        ("POST", "/feedback", {"account_id": "nobody", "verdict": "right"}),
    ],
)
def test_an_unknown_account_has_no_history_and_no_feedback(api_client: ApiClient, method, path, body):
    response = api_client.request(method, path, json=body)
    assert (response.status_code, response.json()["error"]["code"]) == (404, "unknown_account")


def test_an_account_never_scored_has_an_empty_history(isolated_client: ApiClient):
    assert isolated_client.get("/accounts/1096/history")["risks"] == []


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("GET", "/accounts?as_of=2023-07-02", None),
        ("GET", "/accounts/1096/risk?as_of=2023-07-02", None),
        ("POST", "/score?as_of=2023-07-02", {"account_ids": ["1096"]}),
        ("POST", "/change", {"account_ids": ["1096"], "since": "2023-07-02"}),
        ("POST", "/change", {"account_ids": ["1096"], "since": "2023-07-01", "until": "2023-07-02"}),
    ],
)
def test_a_day_in_the_future_is_refused(api_client: ApiClient, method, path, body):
    response = api_client.request(method, path, json=body)
    assert (response.status_code, response.json()["error"]["code"]) == (422, "day_ahead")


@pytest.mark.parametrize("day", ["0", "1700000000", "2023-7-1", "2023-07-01T00:00:00", "0001-01-01", "9999-12-31", ""])
def test_only_an_iso_day_is_a_day(api_client: ApiClient, day):
    for method, path, body in (
        ("GET", f"/accounts?as_of={day}", None),
        ("POST", f"/score?as_of={day}", {"account_ids": ["1096"]}),
        ("POST", "/change", {"account_ids": ["1096"], "since": day}),
        ("POST", "/outcomes", {"outcomes": [{"account_id": "1096", "outcome": "left", "on": day}]}),
    ):
        assert _error(api_client.request(method, path, json=body)) == (422, "invalid")


@pytest.mark.parametrize("number", [0, 1700000000, 1.5, True, None])
def test_a_number_is_no_day(api_client: ApiClient, number):
    body = {"outcomes": [{"account_id": "1096", "outcome": "left", "on": number}]}
    assert _error(api_client.request("POST", "/outcomes", json=body)) == (422, "invalid")


@pytest.mark.parametrize(
    ("account_id", "day", "code"), [("nobody", "2023-06-30", "unknown_account"), ("1096", "2023-07-02", "day_ahead")]
)
def test_an_outcome_of_nobody_or_of_a_day_to_come_saves_nothing(api_client: ApiClient, account_id, day, code):
    known = {"account_id": "508", "outcome": "left", "on": "2023-06-30"}
    outcomes = [known, {"account_id": account_id, "outcome": "left", "on": day}]
    assert _error(api_client.request("POST", "/outcomes", json={"outcomes": outcomes})) == (422, code)
    assert api_client.context.feedback.notice_table().num_rows == 0


@pytest.mark.parametrize("account_id", ["1096\0", " 1096", "1096\t", "cafe\u0301"])
def test_no_other_spelling_of_an_id_is_given_its_risk(api_client: ApiClient, account_id):
    before = api_client.context.ledger_reader.ledger.count()
    for path, body in (
        ("/score", {"account_ids": [account_id]}),
        ("/score?as_of=2023-07-01", {"account_ids": [account_id]}),
        ("/explain", {"account_ids": [account_id]}),
        ("/change", {"account_ids": [account_id], "since": "2023-07-01"}),
        ("/what-if", {"account_id": account_id, "suggest": 1}),
        ("/feedback", {**FEEDBACK, "account_id": account_id}),
        ("/outcomes", {"outcomes": [{"account_id": account_id, "outcome": "left", "on": "2023-06-30"}]}),
    ):
        assert _error(api_client.request("POST", path, json=body)) == (422, "invalid")
    assert _error(api_client.request("GET", f"/accounts/{quote(account_id, safe='')}/risk")) == (422, "invalid")
    assert api_client.context.ledger_reader.ledger.count() == before


def test_a_day_before_the_first_risk_is_not_found(api_client: ApiClient):
    response = api_client.request("GET", "/accounts?as_of=2000-01-01")
    assert (response.status_code, response.json()["error"]["code"]) == (404, "never_scored")


def test_with_the_store_down_the_last_risk_is_degraded(isolated_client: ApiClient):
    (served,) = isolated_client.post("/score", account_ids=["1096"])["scores"]
    _break_store(isolated_client)
    context = isolated_client.context
    scorer = replace(context.scorer, clock=lambda: EXTRACT_END + timedelta(hours=36))
    later = open_api_client(context.state, scorer, context.ledger_reader.ledger)
    response = later.post("/score", account_ids=["1096", "508"])
    assert [(score["risk"], score["status"]) for score in response["scores"]] == [(served["risk"], "degraded")]
    assert response["scores"][0]["degraded"]["age_days"] == 1.5
    assert response["not_scored"] == [{"account_id": "508", "reason": "never_scored"}]
    assert later.get("/accounts/1096/risk")["status"] == "degraded"
    TypeAdapter(replies.ScoreResponse).validate_python(response)


def test_with_the_store_down_and_no_risk_it_answers_503(isolated_client: ApiClient):
    _break_store(isolated_client)
    response = isolated_client.request("POST", "/score", json={"account_ids": ["1096"]})
    assert (response.status_code, response.json()["error"]["code"]) == (503, "store_down")


def test_families_with_old_signals_are_stale(trained: TrainedModel, tmp_path):
    limits = {"contract": 30, "customer_profile": 365}
    serving = trained.settings.serving.model_copy(update={"stale_after_days_by_family": limits})
    settings = trained.settings.model_copy(update={"serving": serving})
    ledger = Ledger(tmp_path / "ledger.db")
    scorer = open_scorer(settings, trained.state, lambda: EXTRACT_END + timedelta(days=10), ledger)
    (score,) = open_api_client(trained.state, scorer, ledger).post("/score", account_ids=["1096"])["scores"]
    assert score["status"] == "stale"
    assert set(score["stale_families"]) == {"adoption", "value", "billing"}


def test_only_the_family_with_old_signals_is_stale(isolated_client: ApiClient):
    with sqlite3.connect(isolated_client.context.state.feast / "packed.db") as connection:
        names = [name for (name,) in connection.execute("select name from sqlite_master where name like 'adoption_%'")]
        for name in names:
            connection.execute(f'update "{name}" set as_of = as_of - 10 * 86400')
    (score,) = isolated_client.post("/score", account_ids=["1096"])["scores"]
    assert (score["status"], score["stale_families"]) == ("stale", ["adoption"])


def test_an_account_missing_in_the_store_is_not_unknown(isolated_client: ApiClient):
    _empty_store(isolated_client)
    response = isolated_client.post("/score", account_ids=["1096", "nobody"])
    reasons = {account["account_id"]: account["reason"] for account in response["not_scored"]}
    assert reasons == {"1096": "not_in_store", "nobody": "unknown_account"}


def test_with_a_broken_ledger_it_answers_503(api_client: ApiClient, tmp_path):
    (tmp_path / "ledger.db").write_bytes(b"not a database" * 100)
    context, ledger = api_client.context, Ledger(tmp_path / "ledger.db")
    scorer = open_scorer(context.settings, context.state, lambda: EXTRACT_END, ledger)
    broken = open_api_client(context.state, scorer, ledger)
    for method, path, body in (("GET", "/accounts/1096/history", None), ("POST", "/feedback", FEEDBACK)):
        response = broken.request(method, path, json=body)
        assert (response.status_code, response.json()["error"]["code"]) == (503, "damaged_state")


def test_before_any_publish_it_answers_503(isolated_client: ApiClient):
    isolated_client.context.state.publication.unlink()
    response = isolated_client.request("GET", "/accounts")
    assert (response.status_code, response.json()["error"]["code"]) == (503, "not_ready")


@pytest.mark.parametrize(
    "account_id",
    [
        "' or 1=1 --",
        "../../etc/passwd",
        "a/b/c",
        "Ωμέγα 🚣",
        "\u0000",
        "%00",
        "%2e%2e%2f",
        "?",
        "#",
        " ",
        "\ud800",
        "x" * 201,
        "x" * 10_000,
    ],
)
def test_an_unusual_id_gets_a_clear_response(api_client: ApiClient, account_id):
    quoted = quote(account_id.encode("utf-8", "surrogatepass"), safe="")
    for path in (f"/accounts/{quoted}/risk", f"/accounts/{quoted}/history"):
        response = api_client.request("GET", path)
        assert response.status_code in (200, 404, 422), response.text
        assert "error" in response.json() or response.json()["risks"] == []


def test_a_person_who_looks_makes_nothing_served(isolated_client: ApiClient):
    """Reads of one account are answered every time, and are neither in its history nor an answer for that day."""
    for _ in range(3):
        assert isolated_client.get("/accounts/1096/risk")["status"] == "scored"
        isolated_client.post("/explain", account_ids=["1096"])
    assert isolated_client.get("/accounts/1096/history")["risks"] == []
    path = "/accounts/1096/risk?as_of=2023-07-01"
    assert _error(isolated_client.request("GET", path)) == (404, "never_scored")
    for _ in range(3):
        isolated_client.post("/score", account_ids=["1096"])
    assert len(isolated_client.get("/accounts/1096/history")["risks"]) == 1
    assert isolated_client.request("GET", path).status_code == 200


def _error(response: httpx.Response) -> tuple[int, str]:
    return response.status_code, response.json()["error"]["code"]


def _break_store(api_client: ApiClient) -> None:
    file = api_client.context.state.feast / "packed.db"
    for path in api_client.context.state.feast.glob("packed.db*"):
        path.unlink()
    file.mkdir()


def _empty_store(api_client: ApiClient) -> None:
    with sqlite3.connect(api_client.context.state.feast / "packed.db") as connection:
        names = connection.execute("select name from sqlite_master where type = 'table'").fetchall()
        for (name,) in names:
            connection.execute(f'delete from "{name}"')
