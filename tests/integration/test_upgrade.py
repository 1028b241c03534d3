"""Upgrades: a dry run compares the recorded answers and changes nothing, a migration keeps every row in both ways."""

import hashlib
import json
import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
import sqlalchemy as sql

from configs.files import read_json, write_json
from configs.settings_file import read_settings
from configs.state_dir import StateDir, open_state_dir
from serving.ledger.database import migrate_database, stored_revision
from serving.ledger.ledger import Ledger
from serving.ledger.schema import AUDIT_LOG, HEAD_REVISION, RISKS
from serving.upgrade.answer_differences import find_differences
from tests.support.trained_model import TrainedModel, copy_without_risks


@pytest.fixture
def config(trained: TrainedModel, tmp_path: Path, oarlock) -> Path:
    """The settings of a trained company, whose ledger holds answers of each kind."""
    config = copy_without_risks(trained, tmp_path / "crm5")
    scored = json.loads(oarlock("score", "--all", "--drivers", "2", "--json", config=config).out)["scores"]
    assert oarlock("explain", scored[0]["account_id"], config=config).code == 0
    with closing(sqlite3.connect(state_of(config).ledger)) as connection:
        # Else a connection of a command above does so whenever it is collected, and changes the file then.
        connection.execute("pragma wal_checkpoint(truncate)")
    return config


def state_of(config: Path) -> StateDir:
    return open_state_dir(read_settings(config))


def ledger_of(config: Path) -> Ledger:
    return Ledger(state_of(config).ledger)


def hashes(folder: Path) -> dict[str, str]:
    """The hash of every file below a folder, without what SQLite keeps beside a file that is read."""
    files = [path for path in folder.rglob("*") if path.is_file() and not path.name.endswith(("-wal", "-shm"))]
    return {str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def change_rows(ledger: Ledger, *conditions: sql.ColumnElement[bool], **values: object) -> None:
    with ledger.engine.begin() as connection:
        connection.execute(RISKS.update().where(*conditions).values(**values))
    ledger.engine.dispose()


def try_upgrade(oarlock, config: Path, *options: str) -> tuple[int, dict]:
    result = oarlock("upgrade", "--dry-run", "--last", "150", "--json", *options, config=config)
    return result.code, json.loads(result.out)


def test_a_dry_run_computes_every_answer_again_and_changes_nothing(config: Path, oarlock):
    migrate_database(state_of(config).ledger, "0007")
    before = hashes(config.parent)
    code, result = try_upgrade(oarlock, config)
    assert (code, result["from_revision"], result["to_revision"]) == (0, "0007", HEAD_REVISION)
    assert result["answers"] > 50
    assert result["replay"] == {
        "equal": result["answers"],
        "identical": result["answers"],
        "different": [],
        "not_replayed": {},
    }
    assert hashes(config.parent) == before
    assert stored_revision(state_of(config).ledger) == "0007"


def test_answers_that_differ_are_listed_with_the_first_field(config: Path, oarlock):
    ledger = ledger_of(config)
    with ledger.engine.connect() as connection:
        row = connection.execute(sql.select(RISKS).order_by(RISKS.c.id.desc()).limit(1)).mappings().one()
    recorded = json.loads(row["score"])
    change_rows(ledger, RISKS.c.id == row["id"], risk=0.5, score=json.dumps(recorded | {"risk": 0.5}))
    code, result = try_upgrade(oarlock, config)
    (different,) = result["replay"]["different"]
    assert (code, different["account_id"], different["recorded_risk"]) == (8, row["account_id"], 0.5)
    assert different["risk"] == recorded["risk"]
    assert different["first"] == {"field": "risk", "recorded": 0.5, "now": recorded["risk"]}
    shown = oarlock("upgrade", "--dry-run", config=config)
    assert (shown.code, f"risk: 0.5 -> {recorded['risk']!r}" in shown.out) == (8, True)


def test_the_value_of_a_signal_is_named_before_what_follows_from_it(config: Path, oarlock):
    ledger = ledger_of(config)
    with ledger.engine.connect() as connection:
        row = connection.execute(sql.select(RISKS).order_by(RISKS.c.id.desc()).limit(1)).mappings().one()
    recorded = json.loads(row["score"])
    recorded["risk"], recorded["drivers"][0]["signals"][0]["value"] = 0.5, -1.0
    change_rows(ledger, RISKS.c.id == row["id"], score=json.dumps(recorded))
    _, result = try_upgrade(oarlock, config, "--last", "1")
    assert result["answers"] == 1
    assert result["replay"]["different"][0]["first"]["field"] == "drivers[0].signals[0].value"


def test_answers_that_cannot_be_computed_again_are_counted_by_reason(config: Path, oarlock):
    ledger = ledger_of(config)
    with ledger.engine.connect() as connection:
        first, second, third = connection.execute(sql.select(RISKS.c.id).order_by(RISKS.c.id.desc()).limit(3)).scalars()
    change_rows(ledger, RISKS.c.id == first, version=99)
    change_rows(ledger, RISKS.c.id == second, as_of=sql.func.datetime("2010-01-01"))
    change_rows(ledger, RISKS.c.id == third, account_id="nobody")
    code, result = try_upgrade(oarlock, config)
    assert result["replay"]["not_replayed"] == {"version_gone": 1, "history_gone": 1, "account_gone": 1}
    assert (code, result["replay"]["equal"]) == (0, result["answers"] - 3)


def test_risks_of_a_past_day_are_compared_with_its_signals(config: Path, oarlock):
    state = state_of(config)
    days = sorted((state.history / read_json(state.publication)["history"] / "days").iterdir())
    assert oarlock("score", "--all", "--as-of", days[-2].name, "--json", config=config).code == 0
    code, result = try_upgrade(oarlock, config)
    with ledger_of(config).engine.connect() as connection:
        recomputed = connection.execute(
            sql.select(sql.func.count()).where(RISKS.c.purpose == "recomputed").select_from(RISKS)
        ).scalar_one()
    assert recomputed > 20
    assert (code, result["replay"]["equal"]) == (0, result["answers"])


def test_a_bundle_of_another_release_is_built_anew_beside_the_state(config: Path, oarlock):
    state = state_of(config)
    pointer = read_json(state.champion_pointer)
    shutil.move(state.bundles / pointer["folder"], state.bundles / "1-1")
    write_json(state.champion_pointer, pointer | {"folder": "1-1"})
    before = hashes(config.parent)
    code, result = try_upgrade(oarlock, config)
    assert (code, result["replay"]["equal"]) == (0, result["answers"])
    assert hashes(config.parent) == before


def test_a_ledger_in_postgres_is_copied_and_no_schema_is_left(config: Path, oarlock, postgres: str, monkeypatch):
    monkeypatch.setenv("OARLOCK_LEDGER__URL", postgres)
    assert oarlock("score", "--all", config=config).code == 0
    migrate_database(postgres, "0007")
    engine = sql.create_engine(postgres.replace("postgresql://", "postgresql+psycopg://"))
    before = sql.inspect(engine).get_schema_names()
    code, result = try_upgrade(oarlock, config)
    assert (code, result["from_revision"], result["replay"]["equal"]) == (0, "0007", result["answers"])
    assert result["answers"] > 50
    assert sql.inspect(engine).get_schema_names() == before
    engine.dispose()
    assert stored_revision(postgres) == "0007"


def test_the_schema_is_migrated_forwards_and_back_with_every_row(config: Path, oarlock):
    risks = ledger_of(config).count()
    back = oarlock("upgrade", "--to", "0008", config=config)
    assert (back.code, f"{HEAD_REVISION} -> 0008" in back.out) == (0, True)
    assert stored_revision(state_of(config).ledger) == "0008"
    forwards = oarlock("upgrade", "--json", config=config)
    assert json.loads(forwards.out) == {"from_revision": "0008", "to_revision": HEAD_REVISION}
    ledger = ledger_of(config)
    assert ledger.count() == risks
    with ledger.engine.connect() as connection:
        actions = connection.execute(sql.select(AUDIT_LOG.c.action, AUDIT_LOG.c.subject)).all()
    assert actions[-2:] == [("downgraded", "0008"), ("upgraded", HEAD_REVISION)]


@pytest.mark.parametrize(
    ("options", "code", "message"),
    [
        (["--to", "9999"], 2, "a revision up to"),
        (["--to", "x"], 2, "a revision up to"),
        (["--dry-run", "--to", "0008"], 2, "leave --to out"),
        (["--dry-run"], 5, "there is nothing to upgrade"),
    ],
)
def test_what_cannot_be_upgraded_is_explained(make_company, oarlock, options, code, message):
    result = oarlock("upgrade", *options, config=make_company(accounts=[{"account_id": "a"}]))
    assert (result.code, message in result.err) == (code, True)


@pytest.mark.parametrize(
    ("recorded", "now", "fields"),
    [
        ({"risk": 0.1}, {"risk": 0.1 + 1e-12}, []),
        ({"risk": 0.1}, {"risk": 0.1, "trend": "new"}, []),
        ({"risk": 0.1, "band": "low"}, {"risk": 0.2}, ["risk", "band"]),
        ({"drivers": [1, 2]}, {"drivers": [1]}, ["drivers"]),
        ({"mrr": None}, {"mrr": 0.0}, ["mrr"]),
    ],
)
def test_fields_differ_by_more_than_rounding(recorded, now, fields):
    assert [difference.field for difference in find_differences(recorded, now)] == fields
