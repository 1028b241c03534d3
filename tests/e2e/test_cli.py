"""The command line: exit codes, errors in one sentence, tables for people, and JSON for machines."""

import json
import re
import socket
import subprocess
import sys
from datetime import datetime
from decimal import Decimal
from importlib import metadata
from pathlib import Path
from typing import cast

import pyarrow.parquet as pq
import pytest

from cli.context import CliContext
from cli.output import OutputTable, print_json
from cli.score import show_explanation
from oarlock import COMMANDS
from serving.accounts.feedback_store import FeedbackStore
from serving.ledger.ledger import open_ledger
from serving.schemas.requests import OutcomeReport
from serving.schemas.responses import Score
from tests.support.companies.raw_tables import account, subscription
from tests.support.paths import ROOT
from tests.support.trained_model import EXTRACT_END, TrainedModel
from training.registry.mlflow_registry import open_registry

START = datetime(2022, 1, 1)
SHORT_LABEL = "[label]\nhorizon_days = 60\ngrace_days = 0\n[training]\nmin_churned = 5\n"


def accounts(count: int, churned: int) -> dict[str, list[dict]]:
    """A company of monthly events in which the first `churned` accounts leave in the middle of 2023."""
    names = [f"a{n}" for n in range(count)]
    ends = {name: datetime(2023, 6, 15) for name in names[:churned]}
    return {
        "accounts": [account(name, START) for name in names],
        "subscriptions": [subscription(name, START, ends.get(name)) for name in names],
    }


def join_words(text: str) -> str:
    return " ".join(text.split())


def test_help_shows_every_summary_whole_in_80_columns(oarlock, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    lines = oarlock("--help").out.splitlines()
    assert max(map(len, lines)) < 80
    listed = [join_words(line) for line in lines[lines.index("Commands:") + 1 :]]
    assert sorted(listed) == sorted(f"{command.name} {command.short_help}" for command in COMMANDS)


@pytest.mark.parametrize("command", [command.name for command in COMMANDS])
def test_help_of_a_command_has_an_example(oarlock, command):
    assert f"Example: oarlock {command}" in oarlock(command, "--help").out


def test_a_missing_config_exits_with_2(oarlock, tmp_path):
    assert oarlock("validate", config=tmp_path / "none.toml").failure[0] == 2


def test_a_config_that_is_a_folder_exits_with_2(oarlock, tmp_path):
    assert oarlock("validate", config=tmp_path).failure == (
        2,
        f"oarlock: Cannot read {tmp_path}: Is a directory. Pass the path of a settings file with --config.",
    )


def test_the_version_is_that_of_the_package(oarlock):
    assert oarlock("--version").out == f"oarlock {metadata.version('oarlock')}\n"


@pytest.mark.parametrize("command", [["validate"], ["keys", "list"]])
def test_the_config_may_follow_the_command(oarlock, tmp_path, command):
    missing = tmp_path / "acme.toml"
    assert str(missing) in oarlock(*command, "--config", str(missing)).err


def test_invalid_data_exits_with_3(oarlock, make_company):
    config = make_company(accounts=[account("a")], subscriptions=[subscription("b", START)])
    code, line = oarlock("validate", config=config).failure
    assert code == 3
    assert line.startswith("oarlock: subscriptions (subscriptions.parquet): account_id is not in accounts in 1 row")


@pytest.fixture
def invalid_company(make_company):
    """A function that writes a company with two kinds of invalid rows, and settings with these lines."""

    def write(extra: str = "") -> Path:
        rows = [subscription("a", START), subscription("b", START, mrr=-5.0), subscription("c", START)]
        contacts = [{"account_id": "a", "contact_id": "1", "role": "boss", "joined_at": START}]
        return make_company(extra, accounts=[account("a"), account("b")], subscriptions=rows, contacts=contacts)

    return write


def test_validate_lists_every_kind_of_invalid_row(oarlock, invalid_company):
    result = oarlock("validate", config=invalid_company())
    assert result.code == 3
    assert "And 2 more kinds of invalid rows" in result.err
    *rows, unknown = result.out.splitlines()[2:]
    lines = [re.split(r"\s{2,}", line) for line in rows]
    assert unknown == "subscriptions: 1 unknown id: c."
    assert [(line[0], line[2]) for line in lines] == [
        ("subscriptions", "account_id is not in accounts"),
        ("subscriptions", "mrr is not at least 0"),
        ("contacts", "role is none of champion, sponsor, exec, admin, user"),
    ]
    assert result.out.count("33.3 %") == 2
    assert "role=boss" in result.out


def test_invalid_rows_are_json_for_machines(oarlock, invalid_company):
    result = oarlock("validate", "--json", config=invalid_company())
    report = json.loads(result.out)
    assert (report["tables"]["subscriptions"], report["sources"], report["ignored_files"]) == (3, [], [])
    rows = [(kind["table"], kind["rows"], kind["share"]) for kind in report["invalid"]]
    assert (result.code, rows) == (3, [("subscriptions", 1, 1 / 3), ("subscriptions", 1, 1 / 3), ("contacts", 1, 1.0)])


def test_validate_counts_what_is_quarantined_and_names_what_is_missing(oarlock, invalid_company):
    config = invalid_company('on_invalid_rows = "quarantine"\n')
    report = json.loads(oarlock("validate", "--json", config=config).out)
    assert (report["tables"]["subscriptions"], sum(kind["rows"] for kind in report["quarantined"])) == (1, 3)
    needs = {tuple(missing["inputs"]): missing["signals"] for missing in report["missing_inputs"]}
    assert needs["subscriptions.plan",] == ["distinct_plans", "plan"]
    assert "open_tickets" in needs["tickets",]
    shown = oarlock("validate", config=config).out
    assert "Quarantined rows:" in shown
    assert "tickets" in shown.partition("further signals")[2]


def test_training_before_publishing_exits_with_5(oarlock, make_company):
    code, line = oarlock("train", config=make_company(**accounts(10, 2))).failure
    assert (code, "Run `oarlock publish`" in line) == (5, True)


@pytest.mark.parametrize(
    ("churned", "reason"),
    [(0, "only 0 churned"), pytest.param(1, "only 1 churned", marks=pytest.mark.slow)],
)
def test_training_without_enough_churn_exits_with_4(oarlock, make_company, churned, reason):
    config = make_company(SHORT_LABEL, **accounts(60, churned))
    assert oarlock("publish", config=config).code == 0
    code, line = oarlock("train", config=config).failure
    assert (code, reason in line) == (4, True)


@pytest.mark.parametrize("option", [("--trials", "3"), ("--timeout", "1")])
def test_a_search_budget_without_tune_exits_with_2(oarlock, make_company, option):
    result = oarlock("train", *option, config=make_company(**accounts(10, 2)))
    assert (result.code, "--trials and --timeout need --tune." in result.err) == (2, True)


def test_promoting_without_a_model_exits_with_5(oarlock, make_company):
    assert oarlock("promote", config=make_company(**accounts(10, 2))).failure[0] == 5


def test_scoring_before_any_promotion_exits_with_5(oarlock, make_company):
    code, line = oarlock("score", "--all", config=make_company(**accounts(10, 2))).failure
    assert (code, "No model has been promoted yet" in line) == (5, True)


def test_scores_are_json_for_machines(oarlock, trained: TrainedModel):
    result = oarlock("score", "1096", "nobody", "--json", config=trained.config)
    response = json.loads(result.out)
    assert result.err == ""
    assert [score["account_id"] for score in response["scores"]] == ["1096"]
    assert response["not_scored"] == [{"account_id": "nobody", "reason": "unknown_account"}]


@pytest.mark.parametrize("arguments", [("score", "nobody"), ("explain", "nobody"), ("explain", "nobody", "--json")])
def test_an_unknown_account_exits_with_9(oarlock, trained: TrainedModel, arguments):
    assert oarlock(*arguments, config=trained.config).failure == (
        9,
        "oarlock: nobody has no risk: unknown account. `oarlock score --all` lists the accounts that have one.",
    )


def test_export_outcomes_writes_the_accounts_of_the_data_set(oarlock, trained: TrainedModel, tmp_path):
    reports = [OutcomeReport(account_id=name, outcome="left", on=EXTRACT_END.date()) for name in ("1096", "a stranger")]
    FeedbackStore(open_ledger(trained.settings, trained.state)).save_outcomes(reports, EXTRACT_END)
    result = oarlock("export-outcomes", "--output", str(tmp_path / "notices.parquet"), config=trained.config)
    assert pq.read_table(tmp_path / "notices.parquet")["account_id"].to_pylist() == ["1096"]
    assert "1 notices. 1 of accounts that are not in the data set were left out." in result.out


def test_serving_on_a_port_in_use_exits_with_7(oarlock, trained: TrainedModel):
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        code, line = oarlock("serve", "--host", "127.0.0.1", "--port", str(port), config=trained.config).failure
    assert (code, f"127.0.0.1:{port}" in line) == (7, True)


@pytest.mark.parametrize(
    "statement",
    ["time.sleep(60)", "duckdb.sql('select sum(a.range * b.range) from range(10000000) a, range(10000) b').fetchall()"],
    ids=["anywhere", "in a query"],
)
def test_ctrl_c_exits_with_130_in_one_sentence(statement):
    lines = [
        "import duckdb, os, signal, threading, time, click, oarlock",
        "threading.Timer(0.5, lambda: os.kill(os.getpid(), signal.SIGINT)).start()",
        f"oarlock.cli.add_command(click.Command('work', callback=lambda: {statement}))",
        "oarlock.main(['work'])",
    ]
    command = [sys.executable, "-c", "\n".join(lines)]
    result = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)
    message = "oarlock: Stopped. Nothing is half-written: run the command again."
    assert (result.returncode, result.stderr.strip()) == (130, message)


def test_an_explanation_sums_up_signals_that_round_to_zero(capsys):
    points = {"logins": 0.0400, "seats": 0.0099, "days": 0.00003, "events": 0.00007}
    signals = [{"name": n, "label": n, "points": p, "value": 1, "typical": 2, "unit": ""} for n, p in points.items()]
    family = {"family": "adoption", "points": 0.05, "signals": signals}
    score = {
        "account_id": "a",
        "risk": 0.06004,
        "base": 0.01004,
        "status": "scored",
        "drivers": [family],
        "protective_drivers": [],
    }
    show_explanation(CliContext(Path("none.toml")), cast("Score", score))
    lines = [join_words(line) for line in capsys.readouterr().out.splitlines()]
    assert [line for line in lines if line[0] in "+01234567"] == [
        "1.00 base",
        "+5.00 adoption",
        "+4.00 logins 1 2",
        "+0.99 seats 1 2",
        "+0.01 events 1 2",
        "+0.00 1 more",
        "6.00 risk",
    ]


def test_the_points_of_an_account_add_up_to_its_printed_risk(oarlock, trained: TrainedModel):
    lines = oarlock("score", "--all", config=trained.config).out.splitlines()
    title, header, _, *rows = lines[: next(n for n, line in enumerate(lines) if line.startswith("1,"))]
    column = header.index("what adds up")
    risks: list[Decimal] = []
    sums: list[Decimal] = []
    for row in rows:
        if row[0] != " ":
            risks.append(Decimal(row.split()[1]))
            sums.append(Decimal(0))
        sums[-1] += Decimal(row[column:].split()[0])
    assert (len(risks), sums) == (10, risks)
    assert "the 10 highest of 1,222 accounts" in title
    assert lines[len(rows) + 3].startswith("1,212 more accounts: --json lists all")


@pytest.mark.parametrize("account", ["1096", "1024"])
def test_an_explanation_adds_up_on_paper(oarlock, trained: TrainedModel, account: str):
    lines = oarlock("explain", account, config=trained.config).out.splitlines()[3:]
    rows = re.findall(r"^ *([+-]?[\d.]+)  ?(\S*)", "\n".join(lines), re.MULTILINE)
    families: list[Decimal] = []
    totals: list[Decimal] = []
    for points, family in rows[1:-1]:
        if family:
            families.append(Decimal(points))
            totals.append(Decimal(0))
        else:
            totals[-1] += Decimal(points)
    assert totals == families
    assert Decimal(rows[0][0]) + sum(families) == Decimal(rows[-1][0])


def test_a_table_in_a_pipe_is_never_wrapped_and_takes_no_markup(capsys):
    table = OutputTable({"account": "id", "risk": "number", "note": "text"})
    table.add("[bold]a[/bold]", "9.4%", "word " * 40)
    table.add("b", "10.2%", "")
    table.print(CliContext(Path("none.toml")))
    rows = [line for line in capsys.readouterr().out.splitlines() if "%" in line]
    assert [join_words(row) for row in rows] == [f"[bold]a[/bold] 9.4% {join_words('word ' * 40)}", "b 10.2%"]
    assert rows[0].index("9.4%") == rows[1].index("10.2%") + 1


def test_promoting_the_champion_again_changes_nothing(oarlock, trained: TrainedModel):
    before = oarlock("audit", "--json", config=trained.config).out
    result = oarlock("promote", "1", config=trained.config)
    assert (result.code, "is already the champion" in result.out) == (0, True)
    assert oarlock("audit", "--json", config=trained.config).out == before


def test_comparing_a_version_with_itself_exits_with_9(oarlock, trained: TrainedModel):
    code, line = oarlock("compare", "1", "--with", "1", config=trained.config).failure
    assert (code, line.startswith("oarlock: Version 1 cannot be compared with itself.")) == (9, True)


def test_publishing_again_reuses_every_day(oarlock, trained: TrainedModel):
    assert "(0 days computed, 18 reused" in oarlock("publish", config=trained.config).out


def test_training_again_finds_the_same_model(oarlock, trained: TrainedModel):
    result = json.loads(oarlock("train", "--json", config=trained.config).out)
    assert (result["reused"], result["version"]["number"]) == (True, 1)


def test_monitor_exits_by_its_verdict_and_logs_its_figures(oarlock, trained: TrainedModel):
    oarlock("monitor", config=trained.config)
    result = oarlock("monitor", "--act", "--log", "--json", config=trained.config)
    document = json.loads(result.out)
    assert (document["decision"]["verdict"], result.code) == ("cannot tell yet", 12)
    assert document["action"] == {
        "kind": "nothing",
        "text": "Nothing was done: it is too early to act.",
        "version": None,
        "next_command": "",
    }
    client = open_registry(trained.state, trained.settings.name).client
    experiment = client.get_experiment_by_name("crm5-monitoring")
    assert experiment is not None
    logged = oarlock("monitor", "--log", config=trained.config).out.splitlines()[-1]
    assert re.fullmatch(r"- logged: 1 run to MLflow, \d+ signals to Feast", logged)
    logged = client.search_runs([experiment.experiment_id])[1]
    assert logged.data.metrics == document["figures"]
    assert logged.data.tags["verdict"] == "cannot tell yet"


def test_monitor_says_little_and_its_figures_have_a_course(oarlock, trained: TrainedModel):
    assert len(oarlock("monitor", config=trained.config).out.splitlines()) <= 20
    listed = oarlock("monitor", "--since", "2023-01-01", config=trained.config).out
    assert re.search(r"outcome threshold +8480 +8480 +8480 +8480", listed)


def test_monitor_does_one_thing_at_a_time(oarlock, trained: TrainedModel):
    result = oarlock("monitor", "--act", "--since", "2023-01-01", config=trained.config)
    assert result.code == 2
    assert "--since lists runs, --act acts, --acknowledge answers" in result.err


def test_instants_in_json_have_a_zone(capsys):
    print_json({"known_at": datetime(2024, 2, 1, 6, 30)})
    assert json.loads(capsys.readouterr().out) == {"known_at": "2024-02-01T06:30:00Z"}


def test_json_has_null_for_numbers_that_json_cannot_express(capsys):
    print_json({"ratio": float("nan"), "n": 3, "low": [float("inf"), 1.5]})
    assert capsys.readouterr().out == '{\n "ratio": null,\n "n": 3,\n "low": [\n  null,\n  1.5\n ]\n}\n'
