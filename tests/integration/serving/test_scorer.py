"""The scorer: which accounts get a risk, why others do not, and that each risk is in the ledger."""

import dataclasses
import json
from datetime import datetime, timedelta

import pytest
import sqlalchemy as sql

from configs.errors import NoChampion, NotReady, StoreDown
from configs.files import write_json
from configs.state_dir import StateDir
from features.store.online_reader import OnlineReader
from serving.ledger.ledger import Ledger
from serving.ledger.schema import RISKS
from serving.schemas.responses import ScoreResponse
from serving.scoring.batch import open_batch
from serving.scoring.scorer import Scorer, open_scorer
from serving.scoring.scores import score_values
from tests.support.trained_model import EXTRACT_END, TrainedModel

ACCOUNT = "1096"


@pytest.fixture
def ledger(tmp_path) -> Ledger:
    return Ledger(tmp_path / "ledger.db")


@pytest.fixture
def scorer(trained: TrainedModel, ledger: Ledger) -> Scorer:
    return open_scorer(trained.settings, trained.state, lambda: EXTRACT_END, ledger)


def _score(scorer: Scorer, account_ids: list[str], max_drivers: int | None = 0, request_id: str = "r") -> ScoreResponse:
    return scorer.score_and_record(scorer.score_accounts(account_ids), max_drivers, request_id)


def test_a_response_describes_its_model(scorer: Scorer):
    response = _score(scorer, [ACCOUNT], 3)
    assert response["as_of"] == "2023-07-01T00:00:00Z"
    assert response["model"] == {
        "name": "crm5",
        "version": 1,
        "alias": "champion",
        "horizon_days": 60,
        "horizons": [30, 60, 90, 180],
        "lead_days": 0,
        "label_hash": scorer.champions.champion().model.identity["label"],
        "signal_set": scorer.champions.champion().model.identity["signal_set"],
        "warning": None,
    }


def test_the_drivers_of_a_score_add_up(scorer: Scorer):
    (score,) = _score(scorer, [ACCOUNT], 2)["scores"]
    driver_points = sum(driver["points"] for driver in [*score["drivers"], *score["protective_drivers"]])
    assert score["base"] + driver_points + score["remaining_points"] == pytest.approx(score["risk"], abs=1e-9)
    assert score["revenue"]["revenue_at_risk"] == pytest.approx((score["revenue"]["mrr"] or 0) * score["risk"])
    assert (score["status"], score["causal"], len(score["drivers"])) == ("scored", False, 2)


def test_a_model_with_its_own_bands_uses_them(scorer: Scorer):
    champion = scorer.champions.champion()
    model = dataclasses.replace(champion.model, bands={"watch": 1e-9, "high": 1e-8, "critical": 1e-7})
    own_bands = dataclasses.replace(champion, model=model)
    scored = score_values(own_bands.model, scorer.score_accounts([ACCOUNT]).signals.values)
    (score,) = scorer.to_response(dataclasses.replace(scorer.score_accounts([ACCOUNT]), scores=scored), 0)["scores"]
    assert score["band"] == "critical"


def test_an_account_without_a_risk_has_a_reason(scorer: Scorer):
    response = _score(scorer, ["nobody", ACCOUNT], 1)
    assert [score["account_id"] for score in response["scores"]] == [ACCOUNT]
    assert response["not_scored"] == [{"account_id": "nobody", "reason": "unknown_account"}]


def test_an_account_that_left_is_not_scored(scorer: Scorer, trained: TrainedModel):
    before = datetime(2022, 3, 1)
    early = {score["account_id"] for score in open_batch(trained.state, scorer, [], before).score_all(0)["scores"]}
    current = {score["account_id"] for score in open_batch(trained.state, scorer, [], None).score_all(0)["scores"]}
    left_account = sorted(early - current)[0]
    assert open_batch(trained.state, scorer, [left_account], None).score_all(0)["not_scored"] == [
        {"account_id": left_account, "reason": "no_running_subscription"}
    ]


def test_a_score_of_old_signals_is_stale(scorer: Scorer):
    age = timedelta(days=scorer.settings.serving.stale_after_days, seconds=1)
    scorer = dataclasses.replace(scorer, clock=lambda: EXTRACT_END + age)
    assert _score(scorer, [ACCOUNT], 0)["scores"][0]["status"] == "stale"


def test_online_and_batch_give_the_same_risk(scorer: Scorer, trained: TrainedModel):
    online = _score(scorer, [ACCOUNT], None)["scores"][0]
    all_accounts = open_batch(trained.state, scorer, [], None)
    assert all_accounts.is_online
    (batch,) = [score for score in all_accounts.score_all(None)["scores"] if score["account_id"] == ACCOUNT]
    assert (batch["risk"], batch["risks"]) == (online["risk"], online["risks"])
    named_accounts = open_batch(trained.state, scorer, [ACCOUNT, "nobody"], None)
    assert not named_accounts.is_online
    assert online in named_accounts.score_all(None)["scores"]


def test_named_accounts_of_the_newest_day_are_read_online(scorer: Scorer, trained: TrainedModel):
    assert open_batch(trained.state, scorer, [ACCOUNT], None).is_online
    assert not open_batch(trained.state, scorer, [ACCOUNT], datetime(2022, 3, 1)).is_online


def test_batch_scores_all_accounts_by_falling_risk(scorer: Scorer, trained: TrainedModel):
    risks = [score["risk"] for score in open_batch(trained.state, scorer, [], None).score_all(0)["scores"]]
    assert len(risks) == 1222
    assert risks == sorted(risks, reverse=True)


def test_the_chunk_size_does_not_change_a_batch(scorer: Scorer, trained: TrainedModel, monkeypatch):
    expected = open_batch(trained.state, scorer, [], None).score_all(3)
    monkeypatch.setattr("serving.scoring.batch.ACCOUNTS_PER_CHUNK", 500)
    progress = []
    assert open_batch(trained.state, scorer, [], None).score_all(3, on_progress=progress.append) == expected
    assert open_batch(trained.state, scorer, [], None).score_all(3, max_accounts=5)["scores"] == expected["scores"][:5]
    assert progress == [500, 1000, 1222]


def test_a_past_day_is_scored_from_the_history(scorer: Scorer, trained: TrainedModel):
    scores = open_batch(trained.state, scorer, [], datetime(2022, 3, 1)).score_all(0)["scores"]
    assert len(scores) == 753, "the one whose subscription ends on that day is not at risk"
    assert {score["status"] for score in scores} == {"scored"}, "on that day its signals were not stale"


def test_batch_refuses_a_day_that_was_never_published(scorer: Scorer, trained: TrainedModel):
    with pytest.raises(NotReady, match="2023-06-15 was never published"):
        open_batch(trained.state, scorer, [], datetime(2023, 6, 15)).score_all(0)


def test_every_risk_is_in_the_ledger_as_it_was_served(scorer: Scorer, ledger: Ledger):
    response = _score(scorer, [ACCOUNT, "nobody"], 3, request_id="r1")
    with ledger.engine.connect() as connection:
        (row,) = connection.execute(sql.select(RISKS)).mappings()
    assert json.loads(row["score"]) == response["scores"][0]
    assert (row["request_id"], row["version"], row["as_of"]) == ("r1", 1, EXTRACT_END)


def test_scoring_again_appends_to_the_ledger(scorer: Scorer, ledger: Ledger):
    _score(scorer, [ACCOUNT], 3)
    _score(scorer, [ACCOUNT], 3)
    assert ledger.count() == 2
    assert len(ledger.served_risks(scorer.champions.champion().model.identity["label"], EXTRACT_END)) == 1


def test_it_is_not_ready_without_a_champion(trained: TrainedModel, tmp_path):
    with pytest.raises(NoChampion, match="No model has been promoted yet"):
        open_scorer(
            trained.settings, StateDir(tmp_path), lambda: EXTRACT_END, Ledger(tmp_path / "ledger.db")
        ).check_ready()


def test_it_is_not_ready_without_the_champions_signals(scorer: Scorer, copy_state_part, trained: TrainedModel):
    note = json.loads(trained.state.publication.read_text())
    views = [{**view, "numbers": [name for name in view["numbers"] if name != "mrr"]} for view in note["views"]]
    folder = copy_state_part("feast").parent
    write_json(folder / "published.json", {**note, "views": views})
    scorer = dataclasses.replace(scorer, signals=OnlineReader(StateDir(folder)))
    with pytest.raises(NotReady, match="needs the signal 'mrr'"):
        scorer.check_ready()


def test_a_missing_store_is_reported_as_down(scorer: Scorer, copy_state_part, trained: TrainedModel):
    folder = copy_state_part("feast").parent
    write_json(folder / "published.json", json.loads(trained.state.publication.read_text()))
    scorer = dataclasses.replace(scorer, signals=OnlineReader(StateDir(folder)))
    assert len(_score(scorer, [ACCOUNT], 0)["scores"]) == 1
    (folder / "feast" / "packed.db").unlink()
    with pytest.raises(StoreDown, match="cannot be read"):
        _score(scorer, [ACCOUNT], 0)
