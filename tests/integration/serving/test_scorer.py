"""The engine: whose risk is given, whose is not and why, and that each risk is in the ledger."""

import dataclasses
import json
from datetime import datetime, timedelta

import pytest
import sqlalchemy as sql

from configs.errors import NoChampion, NotReady, StoreDown
from configs.files import write_json
from configs.state_dir import State
from features.store.online_reader import OnlineReader
from serving.ledger.ledger import Ledger
from serving.ledger.schema import RISKS
from serving.scoring.batch import open_batch
from serving.scoring.scorer import Scorer
from tests.conftest import EXTRACT_ENDS

THERE = "1096"


@pytest.fixture
def engine(trained, tmp_path) -> Scorer:
    made = Scorer(trained.settings, trained.state, lambda: EXTRACT_ENDS)
    made.ledger = Ledger(tmp_path / "ledger.db")
    return made


def test_a_reply_says_which_model_gave_it_and_what_it_answers(engine):
    reply = engine.score([THERE], 3)
    assert reply["as_of"] == "2023-07-01T00:00:00"
    assert reply["model"] == {
        "name": "crm5",
        "version": 1,
        "alias": "champion",
        "horizon_days": 60,
        "horizons": [30, 60, 90, 180],
        "lead_days": 0,
        "label_hash": engine.champion().model.identity["label"],
        "signal_set": engine.champion().model.identity["signal_set"],
    }


def test_a_score_adds_up_and_is_not_called_causal(engine):
    (one,) = engine.score([THERE], 2)["scores"]
    named = sum(driver["points"] for driver in [*one["drivers"], *one["protective"]])
    assert one["base"] + named + one["other_points"] == pytest.approx(one["risk"], abs=1e-9)
    assert one["revenue"]["at_risk"] == pytest.approx(one["revenue"]["mrr"] * one["risk"])
    assert (one["status"], one["causal"], len(one["drivers"])) == ("scored", False, 2)


def test_bands_are_cut_by_the_model_where_it_was_released_with_its_own(engine):
    champion = engine.champion()
    own = dataclasses.replace(champion.model, bands={"watch": 1e-9, "high": 1e-8, "critical": 1e-7})
    engine._champion = dataclasses.replace(champion, model=own)
    (one,) = engine.score([THERE], 0)["scores"]
    assert one["band"] == "critical"


def test_it_says_why_an_account_has_no_risk(engine):
    reply = engine.score(["nobody", THERE], 1)
    assert [one["account_id"] for one in reply["scores"]] == [THERE]
    assert reply["not_scored"] == [{"account_id": "nobody", "reason": "unknown_account"}]


def test_an_account_that_left_is_not_scored_with_its_last_signals(engine):
    before = datetime(2022, 3, 1)
    early = {one["account_id"] for one in open_batch(engine, [], before).score_all(0)["scores"]}
    now = {one["account_id"] for one in open_batch(engine, [], None).score_all(0)["scores"]}
    gone = sorted(early - now)[0]
    assert open_batch(engine, [gone], None).score_all(0)["not_scored"] == [
        {"account_id": gone, "reason": "no_running_subscription"}
    ]


def test_an_id_that_is_repeated_is_answered_once(engine):
    assert len(engine.score([THERE, THERE], 0)["scores"]) == 1


def test_old_signals_are_called_stale(engine):
    engine.clock = lambda: EXTRACT_ENDS + timedelta(days=engine.settings.serving.stale_after_days, seconds=1)
    assert engine.score([THERE], 0)["scores"][0]["status"] == "stale"


def test_online_and_batch_give_the_same_risk(engine):
    online = engine.score([THERE], None)["scores"][0]
    everyone = open_batch(engine, [], None)
    assert everyone.is_online
    (batch,) = [one for one in everyone.score_all(None)["scores"] if one["account_id"] == THERE]
    assert (batch["risk"], batch["risks"]) == (online["risk"], online["risks"])
    with_history = open_batch(engine, [THERE, "nobody"], None)
    assert not with_history.is_online
    assert online in with_history.score_all(None)["scores"]


def test_accounts_of_the_newest_day_are_read_online_also_where_they_are_named(engine):
    assert open_batch(engine, [THERE], None).is_online
    assert not open_batch(engine, [THERE], datetime(2022, 3, 1)).is_online


def test_batch_scores_everyone_riskiest_first(engine):
    risks = [one["risk"] for one in open_batch(engine, [], None).score_all(0)["scores"]]
    assert len(risks) == 1222
    assert risks == sorted(risks, reverse=True)


def test_a_batch_is_the_same_however_many_accounts_a_chunk_has(engine, monkeypatch):
    whole = open_batch(engine, [], None).score_all(3)
    monkeypatch.setattr("serving.scoring.batch.ACCOUNTS_A_CHUNK", 500)
    done = []
    assert open_batch(engine, [], None).score_all(3, on_progress=done.append) == whole
    assert open_batch(engine, [], None).score_all(3, max_accounts=5)["scores"] == whole["scores"][:5]
    assert done == [500, 1000, 1222]


def test_a_past_day_is_scored_from_the_history(engine):
    scores = open_batch(engine, [], datetime(2022, 3, 1)).score_all(0)["scores"]
    assert len(scores) == 754
    assert {one["status"] for one in scores} == {"scored"}, "seen from that day its signals are not stale"


def test_batch_refuses_a_day_that_was_never_published(engine):
    with pytest.raises(NotReady, match="2023-06-15 was never published"):
        open_batch(engine, [], datetime(2023, 6, 15)).score_all(0)


def test_every_risk_given_is_in_the_ledger_as_it_was_served(engine):
    reply = engine.score([THERE, "nobody"], 3, request_id="r1")
    with engine.ledger.engine.connect() as connection:
        (row,) = connection.execute(sql.select(RISKS)).mappings()
    assert json.loads(row["served"]) == reply["scores"][0]
    assert (row["request_id"], row["version"], row["as_of"]) == ("r1", 1, EXTRACT_ENDS)


def test_the_ledger_adds_and_never_changes(engine):
    engine.score([THERE], 3)
    engine.score([THERE], 3)
    assert engine.ledger.count() == 2
    assert len(engine.ledger.risks(version=1)) == 1


def test_it_is_not_ready_without_a_champion(trained, tmp_path):
    with pytest.raises(NoChampion, match="No model has been promoted yet"):
        Scorer(trained.settings, State(tmp_path), lambda: EXTRACT_ENDS).ready()


def test_it_is_not_ready_when_the_champions_signals_are_not_published(engine, own_copy, trained):
    note = json.loads(trained.state.published.read_text())
    engine.refresh()
    views = [{**one, "numbers": [name for name in one["numbers"] if name != "mrr"]} for one in note["views"]]
    folder = own_copy("feast").parent
    write_json(folder / "published.json", {**note, "views": views})
    engine.reader = OnlineReader(State(folder))
    with pytest.raises(NotReady, match="needs the signal 'mrr'"):
        engine.ready()


def test_a_store_that_is_gone_is_said_to_be_down(engine, own_copy, trained):
    folder = own_copy("feast").parent
    write_json(folder / "published.json", json.loads(trained.state.published.read_text()))
    engine.reader = OnlineReader(State(folder))
    assert len(engine.score([THERE], 0)["scores"]) == 1
    (folder / "feast" / "packed.db").unlink()
    with pytest.raises(StoreDown, match="cannot be read"):
        engine.score([THERE], 0)
