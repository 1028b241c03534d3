"""`oarlock doctor` on real state folders: each fault that is planted there is named, with the step that mends it."""

import json
import sqlite3
from collections.abc import Callable
from contextlib import closing
from datetime import datetime, timedelta
from pathlib import Path

import pytest
import sqlalchemy as sql

from configs.files import read_json, write_json
from configs.sections.stores import LedgerSettings
from configs.settings import Settings
from configs.settings_file import read_settings
from configs.state_dir import StateDir, open_state_dir
from monitoring.doctor.check_result import CheckResult, run_check
from monitoring.doctor.checkup import Checkup, examine
from monitoring.doctor.component_checks import check_champion, check_migrations, check_mlflow
from serving.ledger.database import open_database, stored_revision
from serving.ledger.ledger import open_ledger
from serving.ledger.schema import VERSION_TABLE
from tests.support.companies.growing_company import TODAY, Company
from tests.support.ledger_rows import SOURCE, score, source_at
from tests.support.trained_model import EXTRACT_END, TrainedModel, copy_folder, copy_without_risks
from training.registry.mlflow_registry import open_registry

GARBAGE = "no such thing"


def config_of(company: Company) -> Path:
    return company.folder / "growing.toml"


def examine_company(company: Company, settings: Settings | None = None) -> Checkup:
    return examine(settings or company.settings, config_of(company), TODAY + timedelta(hours=6), lambda: TODAY)


def result_of(checkup: Checkup, name: str) -> CheckResult:
    (result,) = [result for result in checkup.results if result.name == name]
    return result


def day_folder(state: StateDir) -> Path:
    publication = read_json(state.publication)
    return state.history / publication["history"] / "days" / publication["as_of"][:10]


def overwrite(path: Path) -> None:
    path.write_text(GARBAGE)
    for suffix in ("-wal", "-shm"):  # SQLite would restore the file from them
        path.with_name(f"{path.name}{suffix}").unlink(missing_ok=True)


def _empty_online_store(company: Company) -> None:
    with closing(sqlite3.connect(company.state.feast / "packed.db")) as database, database:
        for (table,) in database.execute("select name from sqlite_master where type = 'table'").fetchall():
            database.execute(f'delete from "{table}" where account_id = ?', ["account-00"])


def _add_invalid_row(company: Company) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    table = pq.read_table(company.folder / "subscriptions.parquet")
    pq.write_table(pa.concat_tables([table, table]), company.folder / "subscriptions.parquet")


def _write_playbook(company: Company, content: str) -> None:
    (company.folder / "plays.toml").write_text(content)
    config_of(company).write_text(f'playbook = "plays.toml"\n{config_of(company).read_text()}')


PLANTED: dict[str, tuple[Callable[[Company], object], str, str, str]] = {
    "a raw table is gone": (
        lambda company: (company.folder / "subscriptions.parquet").unlink(),
        "sources",
        "subscriptions",
        "",
    ),
    "a raw table is cut short": (
        lambda company: overwrite(company.folder / "accounts.parquet"),
        "sources",
        "accounts.parquet",
        "Write the file again",
    ),
    "rows break the contract": (_add_invalid_row, "sources", "subscription", "Correct the source"),
    "the mapping is no TOML": (lambda company: overwrite(company.folder / "company.toml"), "sources", "TOML", ""),
    "the playbook is missing": (
        lambda company: config_of(company).write_text(f'playbook = "none.toml"\n{config_of(company).read_text()}'),
        "playbook",
        "There is no playbook",
        "Correct `playbook`",
    ),
    "a family has no play": (
        lambda company: _write_playbook(company, "play = []"),
        "playbook",
        "plays.toml",
        "",
    ),
    "the state is of another data set": (
        lambda company: write_json(company.state.folder / "owner.json", {"dataset": "other.toml"}),
        "state folder",
        "other.toml",
        "another `name`",
    ),
    "the owner cannot be read": (
        lambda company: overwrite(company.state.folder / "owner.json"),
        "state folder",
        "owner.json",
        "delete the file",
    ),
    "the ledger is damaged": (
        lambda company: overwrite(company.state.ledger),
        "ledger",
        "ledger.db",
        "Restore it from a backup",
    ),
    "the publication is damaged": (
        lambda company: overwrite(company.state.publication),
        "history",
        "published.json",
        "oarlock publish",
    ),
    "a day of the history is damaged": (
        lambda company: overwrite(day_folder(company.state) / "adoption.parquet"),
        "history",
        "not complete",
        "oarlock publish --backfill-from 2023-08-01",
    ),
    "the online store is gone": (
        lambda company: (company.state.feast / "packed.db").unlink(),
        "online store",
        "",
        "oarlock publish",
    ),
    "the online store is damaged": (
        lambda company: overwrite(company.state.feast / "packed.db"),
        "online store",
        "packed.db",
        "oarlock publish",
    ),
    "an account is not online": (_empty_online_store, "online store", "account-00 is not online", "oarlock publish"),
    "the registry of Feast is damaged": (
        lambda company: overwrite(company.state.feast / "registry.db"),
        "feast registry",
        "registry.db",
        "oarlock publish",
    ),
    "the registry of Feast is gone": (
        lambda company: (company.state.feast / "registry.db").unlink(),
        "feast registry",
        "declares no signals",
        "oarlock publish",
    ),
    "the day that is online is of the future": (
        lambda company: open_ledger(company.settings, company.state).append(
            [score("a")], source_at(datetime(2030, 1, 1))
        ),
        "clock",
        "2030-01-01",
        "Set the clock",
    ),
}


@pytest.mark.parametrize(("plant", "check", "what", "next_step"), PLANTED.values(), ids=PLANTED.keys())
def test_a_fault_that_is_planted_is_named(published_company: Company, plant, check, what, next_step):
    ledger = open_ledger(published_company.settings, published_company.state)
    ledger.append([score("a")], SOURCE)
    ledger.engine.dispose()
    plant(published_company)
    result = result_of(examine_company(published_company, read_settings(config_of(published_company))), check)
    assert (result.status, bool(result.next_step)) == ("fault", True)
    assert what in result.what
    assert next_step in result.next_step


def test_nothing_is_named_of_a_folder_that_is_well(published_company: Company):
    # The company leaves out signals that plays of the shipped playbook name.
    shipped = published_company.settings.playbook.read_text()
    _write_playbook(published_company, "".join(line for line in shipped.splitlines(True) if line[:7] != "signals"))
    checkup = examine_company(published_company, read_settings(config_of(published_company)))
    statuses = {result.name: result.status for result in checkup.results}
    # Nobody left this company, and it is one month shorter than twice the longest window.
    assert {name for name, status in statuses.items() if status == "fault"} == {"churned accounts"}
    assert {name for name, status in statuses.items() if status == "warn"} <= {"history length"}
    assert {name for name, status in statuses.items() if status == "skipped"} == {
        *("webhooks", "exports", "daily job", "monitoring", "mlflow", "champion", "model age"),
        *("redis", "redis memory", "redis keys", "redis expiry", "mlflow server", "mlflow access"),
    }
    assert (checkup.readiness.level, checkup.readiness.next_step) == (2, "oarlock train")


def test_a_new_company_is_told_to_publish(make_company, oarlock):
    from tests.support.companies.raw_tables import account, subscription

    start = datetime(2022, 1, 1)
    config = make_company(accounts=[account("a", start)], subscriptions=[subscription("a", start, None)])
    result = oarlock("doctor", "--json", config=config)
    report = json.loads(result.out)
    assert report["readiness"]["next_step"] == "oarlock publish"
    assert {entry["status"] for entry in report["results"] if entry["name"] in {"history", "mlflow"}} == {"skipped"}


@pytest.mark.parametrize(
    ("extra", "what"),
    [
        ("[bands]\nwatch = 0.3\nhigh = 0.2\n", "watch, high and critical must rise"),
        ("[bandz]\nwatch = 0.3\n", "bandz is not known"),
        ("[label]\nhorizon_days = 0\n", "label.horizon_days"),
        ("[label\n", "is not valid TOML"),
    ],
)
def test_settings_that_cannot_be_read_are_a_fault(make_company, oarlock, extra, what):
    result = oarlock("doctor", "--json", config=make_company(extra, accounts=[{"account_id": "a"}]))
    (entry,) = json.loads(result.out)["results"]
    assert (result.code, entry["name"], entry["status"]) == (20, "settings", "fault")
    assert what in entry["what"]
    assert entry["next_step"]


@pytest.mark.parametrize(
    ("revision", "status", "next_step"), [("0007", "warn", "oarlock backup"), ("9999", "fault", "a later one")]
)
def test_the_revision_of_the_ledger_is_compared(tmp_path: Path, revision, status, next_step):
    file = tmp_path / "ledger.db"
    assert check_migrations(file).status == "ok"
    engine = open_database(file)
    assert check_migrations(file).status == "ok"
    with engine.begin() as connection:
        connection.execute(sql.text(f"update {VERSION_TABLE} set version_num = '{revision}'"))
    engine.dispose()
    result = check_migrations(file)
    assert result.status == status
    assert next_step in result.next_step


def test_an_older_ledger_stays_as_it_is(published_company: Company):
    location = open_ledger(published_company.settings, published_company.state).location
    engine = open_database(location)
    with engine.begin() as connection:
        connection.execute(sql.text(f"update {VERSION_TABLE} set version_num = '0007'"))
    engine.dispose()
    checkup = examine_company(published_company, published_company.settings)
    assert result_of(checkup, "migrations").status == "warn"
    assert result_of(checkup, "ledger").status == "skipped"
    assert stored_revision(location) == "0007"


def test_a_database_that_is_down_is_a_fault(published_company: Company):
    ledger = LedgerSettings.model_validate({"url": "postgresql://me@127.0.0.1:1/none"})
    settings = published_company.settings.model_copy(update={"ledger": ledger})
    checkup = examine_company(published_company, settings)
    for check in ("ledger", "migrations"):
        result = result_of(checkup, check)
        assert result.status == "fault"
        assert "Cannot reach the database" in result.what
        assert "Start the database" in result.next_step


def _remove_bundle(state: StateDir) -> None:
    import shutil

    shutil.rmtree(state.bundles)


def _refuse(state: StateDir) -> None:
    content = read_json(state.champion_pointer)
    write_json(state.champion_pointer, content | {"refused": {"version": 2, "reason": "other risks"}})


def _point_elsewhere(state: StateDir) -> None:
    content = read_json(state.champion_pointer)
    write_json(state.champion_pointer, content | {"version": content["version"] | {"number": 7}})


MODEL_FAULTS = {
    "the pointer is damaged": (lambda state: overwrite(state.champion_pointer), "champion.json", "oarlock promote"),
    "the bundle is gone": (_remove_bundle, "it is missing", "oarlock promote 1"),
    "a version is refused": (_refuse, "version 2 is refused: other risks", "oarlock rollback"),
    "another version is served": (_point_elsewhere, "version 7 is served", "oarlock promote 1"),
}


@pytest.mark.parametrize(("plant", "what", "next_step"), MODEL_FAULTS.values(), ids=MODEL_FAULTS.keys())
def test_a_fault_of_the_champion_is_named(trained: TrainedModel, tmp_path: Path, plant, what, next_step):
    registry = open_registry(trained.state, trained.settings.name)
    state = StateDir(tmp_path / "state")
    copy_folder(trained.state.bundles, state.bundles)
    copy_folder(trained.state.champion_pointer, state.champion_pointer)
    assert check_champion(state, registry).status == "ok"
    plant(state)
    result = run_check("champion", state.champion_pointer, lambda: check_champion(state, registry))
    assert result.status in {"warn", "fault"}
    assert what in result.what
    assert next_step in result.next_step


def test_an_mlflow_that_is_damaged_is_named(tmp_path: Path):
    state = StateDir(tmp_path)
    state.mlflow.mkdir()
    overwrite(state.mlflow / "mlflow.db")
    result = run_check("mlflow", state.mlflow, lambda: check_mlflow(open_registry(state, "acme")))
    assert (result.status, "mlflow.db cannot be read" in result.what) == ("fault", True)
    assert "Restore it from a backup" in result.next_step


def test_a_trained_model_is_well(trained: TrainedModel, tmp_path: Path):
    config = copy_without_risks(trained, tmp_path / "crm5")
    settings = read_settings(config)
    open_ledger(settings, open_state_dir(settings)).append([score("a")], SOURCE)
    checkup = examine(settings, config, datetime.now(), lambda: EXTRACT_END)
    named = {result.name: result.what for result in checkup.results if result.status in {"warn", "fault"}}
    assert named.keys() == {"history length", "churned accounts"}  # as the extract is
    assert (checkup.readiness.level, checkup.readiness.next_step) == (5, "oarlock monitor")
