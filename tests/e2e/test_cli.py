"""The front door: exit codes, one-sentence refusals, JSON for machines, and the line from end to end."""

import json
import socket
import subprocess
import sys
from datetime import datetime
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from cli.context import Oarlock
from cli.output import show_explained
from oarlock import VERBS
from serving.accounts.feedback_store import Said
from serving.ledger.ledger import open_ledger
from serving.schemas.requests import OutcomeReport
from tests.conftest import EXTRACT_ENDS, ROOT, account, subscription

START = datetime(2022, 1, 1)
SHORT = "[label]\nhorizon_days = 60\ngrace_days = 0\n[training]\nmin_churned = 5\n"


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


@pytest.mark.parametrize("words", [("score", "nobody"), ("explain", "nobody"), ("explain", "nobody", "--json")])
def test_an_account_that_nobody_knows_is_refused_with_its_exit_code(oarlock, trained, words):
    assert oarlock(*words, config=trained.config).refusal == (
        9,
        "oarlock: nobody has no risk: unknown account. `oarlock score --all` lists who has one.",
    )


def test_what_became_of_accounts_is_written_for_those_that_the_data_set_knows(oarlock, trained, tmp_path):
    told = [OutcomeReport(account_id=one, outcome="left", on=EXTRACT_ENDS.date()) for one in ("1096", "a stranger")]
    Said(open_ledger(trained.settings, trained.state)).keep_outcomes(told, EXTRACT_ENDS)
    done = oarlock("outcomes", "--notices", str(tmp_path / "notices.parquet"), config=trained.config)
    assert pq.read_table(tmp_path / "notices.parquet")["account_id"].to_pylist() == ["1096"]
    assert "1 more are of accounts that the data set does not know" in " ".join(done.out.split())


def test_serving_on_a_port_in_use_is_refused(oarlock, trained):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        code, line = oarlock("serve", "--host", "127.0.0.1", "--port", str(port), config=trained.config).refusal
    assert (code, line.startswith(f"oarlock: Port {port} of 127.0.0.1 is in use.")) == (7, True)


@pytest.mark.parametrize(
    "work",
    ["time.sleep(60)", "duckdb.sql('select sum(a.range * b.range) from range(10000000) a, range(10000) b').fetchall()"],
    ids=["anywhere", "in a query"],
)
def test_it_is_stopped_by_ctrl_c_in_one_sentence(work):
    lines = [
        "import duckdb, os, signal, threading, time, click, oarlock",
        "threading.Timer(0.5, lambda: os.kill(os.getpid(), signal.SIGINT)).start()",
        f"oarlock.cli.add_command(click.Command('work', callback=lambda: {work}))",
        "oarlock.main(['work'])",
    ]
    command = [sys.executable, "-c", "\n".join(lines)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)
    said = "oarlock: Stopped. Nothing is half-written: run the command again."
    assert (done.returncode, done.stderr.strip()) == (130, said)


def test_an_explanation_sums_up_the_signals_that_hardly_count(capsys):
    weights = {"logins": 0.0400, "seats": 0.0099, "days": 0.00003, "events": 0.00007}
    signals = [{"label": n, "points": p, "value": 1, "typical": 2, "unit": ""} for n, p in weights.items()]
    family = {"family": "adoption", "points": 0.05, "signals": signals}
    one = {"account_id": "a", "risk": 0.06, "base": 0.01, "status": "scored", "drivers": [family], "protective": []}
    show_explained(Oarlock(Path("none.toml")), one)
    shown = [" ".join(line.replace("│", " ").split()) for line in capsys.readouterr().out.splitlines()]
    assert [line for line in shown if line.startswith("+")] == [
        "+5.00 adoption",
        "+4.00 logins 1 2",
        "+0.99 seats 1 2",
        "+0.01 events 1 2",
        "+0.00 1 more",
    ]


def test_promoting_the_champion_again_changes_and_records_nothing(oarlock, trained):
    before = oarlock("audit", "--json", config=trained.config).out
    done = oarlock("promote", "1", config=trained.config)
    assert (done.code, "is champion already" in done.out) == (0, True)
    assert oarlock("audit", "--json", config=trained.config).out == before


def test_a_version_is_not_held_against_itself(oarlock, trained):
    code, line = oarlock("duel", "1", "--against", "1", config=trained.config).refusal
    assert (code, line.startswith("oarlock: Version 1 cannot be held against itself.")) == (9, True)


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
    from cli.output import print_json

    print_json({"ratio": float("nan"), "n": 3, "low": [float("inf"), 1.5]})
    assert capsys.readouterr().out == '{\n "ratio": null,\n "n": 3,\n "low": [\n  null,\n  1.5\n ]\n}\n'
