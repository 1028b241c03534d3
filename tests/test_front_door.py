"""The front door: exit codes, one-sentence refusals, JSON for machines, and the line from end to end."""

import json
from datetime import datetime

import pytest

from oarlock import VERBS
from tests.conftest import account, subscription

START = datetime(2022, 1, 1)
SHORT = "[label]\nhorizon_days = 60\ngrace_days = 0\n[training]\nfewest_churned = 5\n"


def accounts(count: int, churned: int) -> dict[str, list[dict]]:
    """A company of monthly events in which the first `churned` accounts leave in the middle of 2023."""
    names = [f"a{n}" for n in range(count)]
    ends = {name: datetime(2023, 6, 15) for name in names[:churned]}
    return {
        "accounts": [account(name, START) for name in names],
        "subscriptions": [subscription(name, START, ends.get(name)) for name in names],
    }


@pytest.mark.parametrize("verb", ["demo", *(one.name for one in VERBS)])
def test_every_verb_has_a_sentence_and_an_example(oarlock, verb):
    told = oarlock(verb, "--help").out
    assert f"Example: oarlock {verb}" in told


def test_a_missing_config_is_refused_with_its_exit_code(oarlock, tmp_path):
    assert oarlock("check", config=tmp_path / "none.toml").refusal[0] == 2


def test_bad_data_is_refused_with_its_exit_code(oarlock, company):
    config = company(accounts=[account("a")], subscriptions=[subscription("b", START)])
    code, line = oarlock("check", config=config).refusal
    assert code == 3
    assert line.startswith("oarlock: subscriptions (subscriptions.parquet): account_id is not in accounts in 1 row")


def test_training_before_publishing_is_refused(oarlock, company):
    code, line = oarlock("train", config=company(**accounts(10, 2))).refusal
    assert (code, "Run `oarlock publish`" in line) == (5, True)


@pytest.mark.parametrize(("churned", "why"), [(0, "only 0 churned"), (1, "only 1 churned")])
def test_a_company_that_nobody_leaves_has_nothing_to_learn(oarlock, company, churned, why):
    config = company(SHORT, **accounts(60, churned))
    assert oarlock("publish", config=config).code == 0
    code, line = oarlock("train", config=config).refusal
    assert (code, why in line, "nothing to learn" in line) == (4, True, True)


def test_promoting_without_a_model_is_refused(oarlock, company):
    assert oarlock("promote", config=company(**accounts(10, 2))).refusal[0] == 5


def test_scoring_before_any_promotion_is_refused(oarlock, company):
    code, line = oarlock("score", "--all", config=company(**accounts(10, 2))).refusal
    assert (code, "No model has been promoted yet" in line) == (5, True)


def test_scores_are_json_for_machines(oarlock, trained):
    done = oarlock("score", "1096", "nobody", "--json", config=trained.config)
    told = json.loads(done.out)
    assert done.err == ""
    assert [one["account_id"] for one in told["scores"]] == ["1096"]
    assert told["not_scored"] == [{"account_id": "nobody", "reason": "unknown_account"}]


def test_publishing_again_says_what_it_reused(oarlock, trained):
    told = oarlock("publish", config=trained.config).out
    assert "days: 0 computed, 18 reused" in " ".join(told.split())


def test_training_again_finds_the_same_model(oarlock, trained):
    told = json.loads(oarlock("train", "--json", config=trained.config).out)
    assert (told["reused"], told["version"]["number"]) == (True, 1)


def test_monitor_exits_by_its_verdict(oarlock, trained):
    done = oarlock("monitor", "--json", config=trained.config)
    assert done.code == {"ok": 0, "watch": 10, "retrain": 11}[json.loads(done.out)["verdict"]]


def test_a_settings_file_that_is_a_folder_is_refused_in_one_sentence(oarlock, tmp_path):
    assert oarlock("check", config=tmp_path).refusal == (
        2,
        f"oarlock: {tmp_path} cannot be read: Is a directory. Name a settings file.",
    )


def test_json_for_machines_has_null_where_there_is_no_number(capsys):
    from commands.rendering import print_json

    print_json({"ratio": float("nan"), "n": 3, "low": [float("inf"), 1.5]})
    assert capsys.readouterr().out == '{\n "ratio": null,\n "n": 3,\n "low": [\n  null,\n  1.5\n ]\n}\n'
