"""Every route as a client sees it: real replies held against what the OpenAPI promises, sums that hold, honest gaps."""

import shutil
import sqlite3
from dataclasses import replace
from datetime import timedelta

import lightgbm
import numpy as np
import pytest

from configs.state_dir import State
from serving.api.app import create_app
from serving.api.openapi import scopes
from serving.ledger.ledger import Ledger
from serving.schemas import responses as replies
from serving.scoring.champion import LoadedModel
from serving.scoring.champion_pointer import bundle_folder
from serving.scoring.model_bundle import make_bundle, save_bundle
from serving.scoring.scorer import Scorer
from serving.treeshap.kernel import Kernel
from tests.conftest import EXTRACT_ENDS
from tests.support.api_client import ApiClient, open_api_client
from training.registry.mlflow_registry import open_registry

EXACT = 1e-9
FEEDBACK = {"account_id": "1096", "verdict": "right"}


@pytest.fixture
def own_office(trained, tmp_path) -> ApiClient:
    """An office whose state a test may break; the model is the shared one."""
    state = State(tmp_path / "state")
    for part in ("feast", "history"):
        shutil.copytree(trained.state.folder / part, state.folder / part, symlinks=True)
    for file in (trained.state.published, trained.state.facts):
        shutil.copy(file, state.folder)
    shutil.copytree(trained.state.mlflow, state.mlflow, symlinks=True)
    shared = Scorer(trained.settings, trained.state, lambda: EXTRACT_ENDS)
    engine = Scorer(trained.settings, state, lambda: EXTRACT_ENDS)
    engine._champion = shared.champion()
    return open_api_client(engine)


@pytest.fixture
def riskiest(office) -> str:
    return office.riskiest


def test_every_route_says_its_scope(office):
    assert set(scopes(create_app(lambda: office.desk)).values()) == {"open", "score", "read", "feedback"}


def test_the_openapi_has_an_example_for_every_field(office):
    told = office.get("/openapi.json")
    schemas = told["components"]["schemas"]
    without = [
        f"{name}.{field}"
        for name, schema in schemas.items()
        for field, about in schema.get("properties", {}).items()
        if not (about.get("examples") and about.get("description"))
    ]
    assert without == []
    assert set(told["paths"]) >= {"/score", "/explain", "/change", "/what_if", "/accounts", "/worklist", "/outcomes"}
    assert all("422" in path.get("post", {"responses": ["422"]})["responses"] for path in told["paths"].values())


@pytest.mark.parametrize(
    ("method", "path", "content", "model"),
    [
        ("POST", "/score", {"account_ids": ["1096", "nobody"]}, replies.ScoreResponse),
        ("POST", "/explain", {"account_ids": ["1096", "nobody"]}, replies.ExplainResponse),
        ("POST", "/what_if", {"account_id": "1096", "suggest": 3}, replies.WhatIfResponse),
        ("POST", "/change", {"account_ids": ["1096", "nobody"], "since": "2023-07-01"}, replies.ChangeResponse),
        ("POST", "/feedback", {"account_id": "1096", "verdict": "right"}, replies.FeedbackResponse),
        (
            "POST",
            "/outcomes",
            {"outcomes": [{"account_id": "x", "outcome": "left", "on": "2023-06-30"}]},
            replies.OutcomesResponse,
        ),
        ("GET", "/accounts", {"limit": 3, "sort": "risk"}, replies.AccountsResponse),
        ("GET", "/accounts/1096/risk", {}, replies.RiskResponse),
        ("GET", "/accounts/1096/history", {"limit": 1}, replies.HistoryResponse),
        ("GET", "/worklist", {"limit": 3}, replies.WorkListResponse),
        ("GET", "/model", {}, replies.ModelResponse),
        ("GET", "/models", {}, replies.ModelsResponse),
        ("GET", "/ready", {}, replies.ReadyResponse),
    ],
)
def test_a_reply_is_what_the_openapi_promises(office, method, path, content, model):
    office.post("/score", account_ids=["1096"])
    told = office.post(path, **content) if method == "POST" else office.get(path, **content)
    model.model_validate(told)


def test_everything_explained_adds_up_to_the_risk_within_every_horizon(office, riskiest):
    (one,) = office.post("/explain", account_ids=[riskiest])["explained"]
    named = [*one["drivers"], *one["protective"]]
    assert one["base"] + sum(driver["points"] for driver in named) == pytest.approx(one["risk"], abs=EXACT)
    for within in one["horizons"]:
        assert within["base"] + sum(within["points"].values()) == pytest.approx(within["risk"], abs=EXACT)
        assert within["risk"] == one["risks"][str(within["days"])]
    risks = [within["risk"] for within in one["horizons"]]
    assert risks == sorted(risks)


def test_an_explained_signal_stands_beside_its_peers_and_the_account_has_a_play(office, riskiest):
    office.get("/accounts")
    (one,) = office.post("/explain", account_ids=[riskiest])["explained"]
    ranked = [s["percentile"] for d in one["drivers"] for s in d["signals"] if s["percentile"] is not None]
    assert ranked
    assert all(0 <= percentile <= 100 for percentile in ranked)
    assert one["peers"] == "small"
    assert one["play"]["suggested"]
    assert one["play"]["family"] == one["drivers"][0]["family"]


def test_a_past_risk_is_answered_exactly_as_it_was_served(office):
    (served,) = office.post("/score", account_ids=["2072"], drivers=1)["scores"]
    past = office.ask("POST", "/score?as_of=2023-07-01", json={"account_ids": ["2072", "nobody"]}).json()
    assert past["scores"] == [{**served, "given_at": EXTRACT_ENDS.isoformat(), "version": 1}]
    assert past["not_scored"] == [{"account_id": "nobody", "reason": "never_scored"}]
    one = office.get("/accounts/2072/risk", as_of="2023-07-01")
    assert one["score"]["risk"] == served["risk"]
    assert office.get("/accounts/2072/risk", as_of="2023-06-30")["status"] == "not_scored"
    listed = {one["account_id"]: one["risk"] for one in office.get("/accounts", as_of="2023-07-01")["accounts"]}
    assert listed["2072"] == served["risk"]


def test_the_change_between_two_days_adds_up_to_what_was_served(office):
    before = EXTRACT_ENDS - timedelta(days=30)
    served = office.post("/score", account_ids=["1096", "508"])["scores"]
    # What was said of the month before: a risk that the signals of that day do not quite give any more.
    month_ago = [{**one, "risk": one["risk"] / 2, "signals_as_of": before.isoformat()} for one in served]
    of = {"given_at": before, "request_id": "r", "model": "m", "version": 1, "label_hash": "l", "signal_set": "s"}
    office.desk.engine.ledger.append(month_ago, of)
    told = office.post("/change", account_ids=["1096", "508"], since="2023-06-01")
    assert [one["account_id"] for one in told["changed"]] == ["1096", "508"]
    for one, then, now in zip(told["changed"], month_ago, served, strict=True):
        parts = ("signals", "model", "calibration", "corrected")
        assert sum(one[part] for part in parts) == pytest.approx(one["change"], abs=EXACT)
        families = sum(family["points"] for family in one["families"])
        assert families + one["base"] == pytest.approx(one["signals"], abs=EXACT)
        assert (one["before"]["risk"], one["after"]["risk"]) == pytest.approx((then["risk"], now["risk"]), abs=EXACT)
        assert one["model"] == one["calibration"] == pytest.approx(0, abs=EXACT)
        assert one["signals"] != 0


def test_a_change_across_two_versions_blames_trees_and_calibration_apart(own_office, trained):
    """Version 2 has half the trees of version 1, and a calibrator that says more."""
    engine, first = own_office.desk.engine, open_registry(trained.state, trained.settings.name)
    model = first.load(first.get(1))
    half = lightgbm.Booster(model_str=model.booster_text).model_to_string(num_iteration=model.booster.num_trees() // 2)
    no_signals = np.full((1, len(model.inputs)), np.nan)
    base = np.asarray(lightgbm.Booster(model_str=half).predict(no_signals, pred_contrib=True))[0, -1]
    louder = replace(model.calibrator, intercepts=tuple(one + 0.5 for one in model.calibrator.intercepts))
    second = replace(model, booster_text=half, base_margin=float(base), calibrator=louder)
    (engine.state.compiled).symlink_to(trained.state.compiled)
    save_bundle(make_bundle(second, Kernel(engine.state.compiled)), bundle_folder(engine.state, 2))

    engine._champion = LoadedModel(engine.model_of(2), replace(engine.champion().version, number=2))
    (before,) = own_office.post("/score", account_ids=["1096"])["scores"]
    engine._champion = Scorer(trained.settings, trained.state, lambda: EXTRACT_ENDS).champion()
    (told,) = own_office.post("/change", account_ids=["1096"], since="2023-07-01")["changed"]

    assert (told["before"]["version"], told["after"]["version"]) == (2, 1)
    assert told["before"]["risk"] == before["risk"]
    assert told["model"] + told["calibration"] == pytest.approx(told["change"], abs=EXACT)
    assert (told["signals"], told["corrected"]) == pytest.approx((0, 0), abs=EXACT)
    assert told["calibration"] < 0 != told["model"]


def test_a_change_needs_two_risks(office):
    told = office.post("/change", account_ids=["nobody"], since="2023-07-01")
    assert told["not_scored"] == [{"account_id": "nobody", "reason": "never_scored"}]


def test_what_if_names_what_each_family_would_do(office, riskiest):
    told = office.post("/what_if", account_id=riskiest, suggest=3)
    risks = [told["risk"], *(one["risk"] for one in told["suggestions"])]
    assert risks == sorted(risks, reverse=True)
    first = told["suggestions"][0]
    tried = office.post("/what_if", account_id=riskiest, changes={first["signal"]: first["to"]})
    assert tried["risk_if"] == pytest.approx(first["risk"], abs=EXACT)
    moved = sum(one["points"] for one in tried["moved"])
    assert moved == pytest.approx(tried["risk_if"] - tried["risk"], abs=EXACT)
    assert tried["causal"] is False


@pytest.mark.parametrize("changes", [{"mrr": 1.0}, {"unheard_of": 1.0}, {"longest_usage_gap_91d": 1e9}])
def test_what_if_refuses_what_nobody_could_do(office, riskiest, changes):
    reply = office.ask("POST", "/what_if", json={"account_id": riskiest, "changes": changes})
    assert (reply.status_code, reply.json()["error"]["code"]) == (422, "not_plausible")


def test_the_pages_of_the_portfolio_hold_every_account_once(office):
    ids, cursor = [], None
    while True:
        told = office.get("/accounts", sort="risk", limit=500, **({"cursor": cursor} if cursor else {}))
        ids += [one["account_id"] for one in told["accounts"]]
        cursor = told["next_cursor"]
        if cursor is None:
            break
    assert len(ids) == len(set(ids)) == told["total"]


def test_a_listed_risk_is_the_one_that_is_scored(office):
    listed = office.get("/accounts", sort="risk", limit=20)["accounts"]
    scored = office.post("/score", account_ids=[one["account_id"] for one in listed])["scores"]
    assert [one["risk"] for one in listed] == pytest.approx([one["risk"] for one in scored], abs=EXACT)
    assert [one["band"] for one in listed] == [one["band"] for one in scored]


def test_the_work_list_says_whom_to_call_and_why_the_others_are_left_out(office):
    told = office.get("/worklist", limit=5, per_owner=3)
    values = [one["value"] for one in told["calls"]]
    assert len(values) == 3
    assert values == sorted(values, reverse=True)
    assert all(one["play"]["suggested"] for one in told["calls"])
    assert {one["why_not"] for one in told["left_out"]} >= {"over_capacity"}


def test_an_account_that_people_marked_is_not_chased(office):
    first = office.get("/worklist", limit=1)["calls"][0]["account_id"]
    office.post("/feedback", account_id=first, verdict="already_known", mark="do_not_chase")
    again = office.get("/worklist", limit=1)
    assert again["calls"][0]["account_id"] != first
    assert again["left_out"][0]["why_not"] == "do_not_chase"
    assert office.get(f"/accounts/{first}/risk")["play"]["why_not"] == "do_not_chase"
    office.post("/feedback", account_id=first, verdict="right", unmark=True)


def test_nobody_is_not_an_account(office):
    reply = office.ask("GET", "/accounts/nobody/risk")
    assert (reply.status_code, reply.json()["error"]["code"]) == (404, "unknown_account")


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("GET", "/accounts/nobody/history", None),
        ("POST", "/feedback", {"account_id": "nobody", "verdict": "right"}),
    ],
)
def test_nobody_has_no_history_and_no_feedback(office, method, path, body):
    reply = office.ask(method, path, json=body)
    assert (reply.status_code, reply.json()["error"]["code"]) == (404, "unknown_account")


def test_an_account_that_never_had_a_risk_has_an_empty_history(own_office):
    assert own_office.get("/accounts/1096/history")["risks"] == []


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
def test_a_day_that_has_not_begun_is_refused(office, method, path, body):
    reply = office.ask(method, path, json=body)
    assert (reply.status_code, reply.json()["error"]["code"]) == (422, "day_ahead")


def test_a_day_before_the_first_risk_has_no_list(office):
    reply = office.ask("GET", "/accounts?as_of=2000-01-01")
    assert (reply.status_code, reply.json()["error"]["code"]) == (404, "never_scored")


def test_where_the_store_is_down_the_last_known_risk_is_marked_with_its_age(own_office):
    (served,) = own_office.post("/score", account_ids=["1096"])["scores"]
    own_office.desk.engine.clock = lambda: EXTRACT_ENDS + timedelta(hours=36)
    _break_store(own_office)
    told = own_office.post("/score", account_ids=["1096", "508"])
    assert [(one["risk"], one["status"]) for one in told["scores"]] == [(served["risk"], "degraded")]
    assert told["scores"][0]["degraded"]["age_days"] == 1.5
    assert told["not_scored"] == [{"account_id": "508", "reason": "never_scored"}]
    assert own_office.get("/accounts/1096/risk")["status"] == "degraded"
    replies.ScoreResponse.model_validate(told)


def test_where_the_store_is_down_and_nothing_is_known_it_is_a_clear_503(own_office):
    _break_store(own_office)
    reply = own_office.ask("POST", "/score", json={"account_ids": ["1096"]})
    assert (reply.status_code, reply.json()["error"]["code"]) == (503, "store_down")


def test_signals_older_than_their_family_may_be_are_stale_and_say_which(trained, tmp_path):
    serving = trained.settings.serving.model_copy(update={"stale_after_days_by_family": {"contract": 30, "fit": 365}})
    settings = trained.settings.model_copy(update={"serving": serving})
    engine = Scorer(settings, trained.state, lambda: EXTRACT_ENDS + timedelta(days=10))
    engine.ledger = Ledger(tmp_path / "ledger.db")
    (one,) = open_api_client(engine).post("/score", account_ids=["1096"])["scores"]
    assert one["status"] == "stale"
    assert set(one["stale_families"]) == {"adoption", "value", "billing"}


def test_a_family_that_was_left_behind_is_stale_alone(own_office):
    with sqlite3.connect(own_office.desk.state.feast / "packed.db") as connection:
        names = [name for (name,) in connection.execute("select name from sqlite_master where name like 'adoption_%'")]
        for name in names:
            connection.execute(f'update "{name}" set as_of = as_of - 10 * 86400')
    (one,) = own_office.post("/score", account_ids=["1096"])["scores"]
    assert (one["status"], one["stale_families"]) == ("stale", ["adoption"])


def test_a_store_that_lacks_an_account_does_not_call_it_unknown(own_office):
    _empty_store(own_office)
    told = own_office.post("/score", account_ids=["1096", "nobody"])
    reasons = {one["account_id"]: one["reason"] for one in told["not_scored"]}
    assert reasons == {"1096": "not_in_store", "nobody": "unknown_account"}


def test_where_the_ledger_cannot_be_used_it_is_a_clear_503(office, tmp_path):
    engine = Scorer(office.desk.settings, office.desk.state, lambda: EXTRACT_ENDS)
    (tmp_path / "ledger.db").write_bytes(b"not a database" * 100)
    engine.ledger = Ledger(tmp_path / "ledger.db")
    broken = open_api_client(engine)
    for method, path, body in (("GET", "/accounts/1096/history", None), ("POST", "/feedback", FEEDBACK)):
        reply = broken.request(method, path, json=body)
        assert (reply.status_code, reply.json()["error"]["code"]) == (503, "database_down")


def test_before_anything_is_published_it_says_so(own_office):
    own_office.desk.state.published.unlink()
    reply = own_office.ask("GET", "/accounts")
    assert (reply.status_code, reply.json()["error"]["code"]) == (503, "not_ready")


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
def test_a_strange_id_gets_a_clear_answer(office, account_id):
    from urllib.parse import quote

    quoted = quote(account_id.encode("utf-8", "surrogatepass"), safe="")
    for path in (f"/accounts/{quoted}/risk", f"/accounts/{quoted}/history"):
        reply = office.ask("GET", path)
        assert reply.status_code in (200, 404, 422), reply.text
        assert "error" in reply.json() or reply.json()["risks"] == []


def _break_store(office: ApiClient) -> None:
    file = office.context.state.feast / "packed.db"
    for one in office.context.state.feast.glob("packed.db*"):
        one.unlink()
    file.mkdir()


def _empty_store(office: ApiClient) -> None:
    with sqlite3.connect(office.context.state.feast / "packed.db") as connection:
        names = connection.execute("select name from sqlite_master where type = 'table'").fetchall()
        for (name,) in names:
            connection.execute(f'delete from "{name}"')
