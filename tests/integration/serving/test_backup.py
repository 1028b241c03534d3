"""Backup and restore: the same answers at another path, a ledger without a gap, either database, and no half state."""

import io
import json
import shutil
import tarfile
import threading
from collections.abc import Callable
from datetime import datetime
from pathlib import Path

import pyarrow as pa
import pytest
import sqlalchemy as sql
from pydantic import SecretStr

from configs.errors import Busy, ConfigError, DamagedState, NotReady, RequestError
from configs.files import exclusive_lock, write_json
from configs.sections.stores import LedgerSettings, StoreSettings
from configs.servers.postgres import with_driver
from configs.settings import Settings
from configs.settings_file import read_settings
from configs.state_dir import StateDir, open_state_dir
from serving.backup.archive import MANIFEST, extract_archive
from serving.backup.backup import create_backup
from serving.backup.ledger_copy import count_rows
from serving.backup.mlflow_copy import copy_mlflow
from serving.backup.restore import restore_backup, restore_settings
from serving.ledger.ledger import Ledger, open_ledger
from serving.ledger.schema import API_KEYS, RISKS
from serving.ledger.writer import LedgerWriter, recover_orphaned_segments
from serving.scoring.batch import open_batch
from serving.scoring.scorer import open_scorer
from serving.security.api_keys import create_key, save_key
from tests.support.companies.growing_company import Company
from tests.support.ledger_rows import DAY, SOURCE, score
from tests.support.trained_model import EXTRACT_END, TrainedModel
from training.registry.mlflow_registry import MlflowServer, Registry, open_registry

NOW = datetime(2026, 11, 29)


@pytest.fixture
def company(published_company: Company) -> Company:
    """A published company with two risks in its ledger."""
    open_ledger(published_company.settings, published_company.state).append([score("a"), score("b")], SOURCE)
    return published_company


def config_of(company: Company) -> Path:
    return company.folder / "growing.toml"


def back_up(company: Company, file: Path) -> Path:
    create_backup(company.settings, company.state, config_of(company), file, NOW)
    return file


def elsewhere(settings: Settings, folder: Path, **ledger: object) -> Settings:
    """The same settings with another state folder, and another ledger if one is named."""
    return settings.model_copy(update={"state": folder, "ledger": LedgerSettings.model_validate(ledger)})


def state_of(settings: Settings) -> StateDir:
    return StateDir(settings.state / settings.name)


def risks_of(ledger: Ledger) -> list[tuple[object, ...]]:
    with ledger.engine.connect() as connection:
        return [tuple(row) for row in connection.execute(sql.select(RISKS).order_by(RISKS.c.id))]


def contents(folder: Path) -> dict[str, bytes]:
    """Every file below a folder, without locks and what SQLite keeps beside its files."""
    ignored = ("lock", "-wal", "-shm")
    files = [path for path in folder.rglob("*") if path.is_file() and not path.name.endswith(ignored)]
    return {str(path.relative_to(folder)): path.read_bytes() for path in files}


def answers(settings: Settings, state: StateDir) -> str:
    """The risks with all drivers of every account."""
    scorer = open_scorer(settings, state, lambda: EXTRACT_END, open_ledger(settings, state))
    return json.dumps(open_batch(state, scorer, [], None).score_all(None)["scores"])


def versions_of(registry: Registry) -> list[tuple[object, ...]]:
    """What is registered: each version with its alias and metrics, and the trees of the champion."""
    records = [(record.version, record.metrics, record.comparison) for record in registry.version_records()]
    return [*records, (registry.load_model(registry.champion()).booster.model_to_string(),)]


def rewrite(file: Path, change: Callable[[str, bytes], bytes | None]) -> None:
    """Change the members of an archive one by one; one for which `change` returns None is left out."""
    with pa.CompressedInputStream(pa.OSFile(str(file)), "zstd") as content:
        source = io.BytesIO(content.read())
    target = io.BytesIO()
    with tarfile.open(fileobj=source) as old, tarfile.open(fileobj=target, mode="w") as new:
        for member in old:
            body = old.extractfile(member) if member.isfile() else None
            changed = change(member.name, body.read() if body else b"")
            if changed is not None:
                member.size = len(changed) if member.isfile() else 0
                new.addfile(member, io.BytesIO(changed))
    with pa.CompressedOutputStream(pa.OSFile(str(file), "wb"), "zstd") as compressed:
        compressed.write(target.getvalue())


def test_a_restored_service_gives_the_same_answers_at_another_path(trained: TrainedModel, tmp_path):
    before = answers(trained.settings, trained.state)
    file = tmp_path / "crm5.tar.zst"
    create_backup(trained.settings, trained.state, trained.config, file, NOW)
    ledger = risks_of(open_ledger(trained.settings, trained.state))

    settings = elsewhere(trained.settings, tmp_path / "moved")
    restore_backup(settings, file)
    state = open_state_dir(settings)
    assert risks_of(open_ledger(settings, state)) == ledger
    assert answers(settings, state) == before
    registry = open_registry(state, settings.name)
    assert registry.load_model(registry.champion()).booster.num_trees() > 0


def test_mlflow_moves_to_a_server_and_back(trained: TrainedModel, tmp_path):
    create_backup(trained.settings, trained.state, trained.config, tmp_path / "embedded.tar.zst", NOW)
    server = StoreSettings(
        mlflow=SecretStr(f"sqlite:///{tmp_path / 'server.db'}"), mlflow_artifacts=(tmp_path / "artifacts").as_uri()
    )
    moved = elsewhere(trained.settings, tmp_path / "moved").model_copy(update={"stores": server})
    restore_backup(moved, tmp_path / "embedded.tar.zst")
    state = open_state_dir(moved)
    assert not state.mlflow.exists()
    assert versions_of(open_registry(state, moved.name)) == versions_of(open_registry(trained.state, moved.name))

    create_backup(moved, state, trained.config, tmp_path / "server.tar.zst", NOW)
    shutil.rmtree(tmp_path / "artifacts")
    (tmp_path / "server.db").unlink()
    back = elsewhere(trained.settings, tmp_path / "back")
    restore_backup(back, tmp_path / "server.tar.zst")
    registry = open_registry(open_state_dir(back), back.name)
    assert versions_of(registry) == versions_of(open_registry(trained.state, moved.name))


def test_mlflow_is_restored_into_an_empty_server_only(trained: TrainedModel, tmp_path):
    create_backup(trained.settings, trained.state, trained.config, tmp_path / "b.tar.zst", NOW)
    server = StoreSettings(mlflow=SecretStr(f"sqlite:///{tmp_path / 'server.db'}"))
    first, second = (
        elsewhere(trained.settings, tmp_path / name).model_copy(update={"stores": server})
        for name in ("first", "second")
    )
    restore_backup(first, tmp_path / "b.tar.zst")
    with pytest.raises(NotReady, match="MLflow's database is not empty: its table"):
        restore_backup(second, tmp_path / "b.tar.zst")
    assert not state_of(second).folder.exists()


def test_a_backup_is_not_restored_into_a_server_without_its_database(trained: TrainedModel, tmp_path):
    create_backup(trained.settings, trained.state, trained.config, tmp_path / "b.tar.zst", NOW)
    server = StoreSettings(mlflow=SecretStr("https://mlflow.example.com"))
    moved = elsewhere(trained.settings, tmp_path / "moved").model_copy(update={"stores": server})
    with pytest.raises(ConfigError, match="an MLflow server without its database"):
        restore_backup(moved, tmp_path / "b.tar.zst")
    assert not state_of(moved).folder.exists()


@pytest.mark.parametrize(
    ("database", "error", "message"),
    [
        ("nonsense", ConfigError, "stores.mlflow_database is not a usable database URL"),
        ("postgresql://nobody@127.0.0.1:1/mlflow", NotReady, "MLflow's database cannot be used"),
        ("sqlite://", ConfigError, "The database in stores.mlflow_database is not one of MLflow"),
    ],
)
def test_a_database_of_mlflow_that_cannot_be_used_is_named(tmp_path, database, error, message):
    registry = Registry(tmp_path / "own", "acme", MlflowServer(f"sqlite:///{tmp_path / 'server.db'}"))
    with pytest.raises(error, match=message):
        copy_mlflow(registry, with_driver(database), tmp_path / "copy")


def test_a_restored_folder_holds_every_file(company, tmp_path):
    artifact = company.state.mlflow / "artifacts/1/.hidden.lock"
    artifact.parent.mkdir(parents=True)
    artifact.write_text("kept, whatever its name is")
    (company.state.folder / "champion.json.123.tmp").touch()
    write_json(company.state.feast / "applied.json", {"history": "elsewhere"})
    settings = elsewhere(company.settings, tmp_path / "moved")
    manifest = restore_backup(settings, back_up(company, tmp_path / "b.tar.gz"))
    restored, original = contents(state_of(settings).folder), contents(company.state.folder)
    del original["champion.json.123.tmp"]
    del original["events/2023-08-01.parquet"]  # the next publish writes it anew
    assert restored.keys() == original.keys()
    databases = {name for name in original if original[name].startswith(b"SQLite format 3")}
    assert {name: restored[name] for name in original if name not in databases} == {
        name: content for name, content in original.items() if name not in databases
    }
    assert manifest.rows["risks"] == 2
    assert state_of(settings).folder.stat().st_mode & 0o077 == 0


def test_a_folder_on_another_disk_is_in_the_backup(company, tmp_path):
    moved = company.state.history.rename(tmp_path / "large disk")
    company.state.history.symlink_to(moved)
    settings = elsewhere(company.settings, tmp_path / "moved")
    restore_backup(settings, back_up(company, tmp_path / "b.tar.zst"))
    assert contents(state_of(settings).history) == contents(moved)


def test_a_shared_history_is_restored_into_another_shared_folder(company, tmp_path):
    shared = company.settings.model_copy(update={"stores": StoreSettings(history=tmp_path / "shared")})
    state = StateDir(company.state.folder, shared.stores)
    (tmp_path / "shared").mkdir()
    company.state.history.rename(state.history)
    create_backup(shared, state, config_of(company), tmp_path / "b.tar.zst", NOW)

    stores = StoreSettings(history=tmp_path / "other")
    moved = elsewhere(company.settings, tmp_path / "moved").model_copy(update={"stores": stores})
    restore_backup(moved, tmp_path / "b.tar.zst")
    restored = StateDir(state_of(moved).folder, stores)
    assert contents(restored.history) == contents(state.history)
    assert not state_of(moved).history.exists()

    again = elsewhere(moved, tmp_path / "again")
    with pytest.raises(NotReady, match="other/growing exists already"):
        restore_backup(again, tmp_path / "b.tar.zst")


@pytest.mark.parametrize("attempt", range(3))
def test_no_acknowledged_risk_is_missing_if_the_service_writes(company, tmp_path, attempt):
    ledger = open_ledger(company.settings, company.state)
    writer = LedgerWriter(ledger, company.state.write_ahead_log, LedgerSettings(), lambda: DAY)
    acknowledged, stopping = list[str](), threading.Event()

    def serve() -> None:
        while not stopping.is_set():
            account_id = f"account-{len(acknowledged)}"
            writer.append([score(account_id)], SOURCE)
            acknowledged.append(account_id)

    if attempt:
        writer.start()  # in the first attempt nothing reaches the database
    thread = threading.Thread(target=serve)
    thread.start()
    while len(acknowledged) < 500 * (1 + attempt):
        pass
    before = list(acknowledged)
    file = back_up(company, tmp_path / "b.tar.zst")
    stopping.set()
    thread.join()
    if attempt:
        writer.close(10)

    settings = elsewhere(company.settings, tmp_path / "moved")
    restore_backup(settings, file)
    restored = open_ledger(settings, state_of(settings))
    recover_orphaned_segments(restored, state_of(settings).write_ahead_log, lambda: DAY)
    accounts = [str(row[3]) for row in risks_of(restored)][2:]
    assert len(accounts) == len(set(accounts))
    assert set(before) <= set(accounts) <= set(acknowledged)


def test_a_ledger_moves_from_sqlite_to_postgres_and_back(company, tmp_path, postgres):
    before = risks_of(open_ledger(company.settings, company.state))
    _, key = create_key("crm", ["read"], 60, NOW)
    save_key(open_ledger(company.settings, company.state).engine, key)
    in_postgres = elsewhere(company.settings, tmp_path / "standard", url=postgres)
    restore_backup(in_postgres, back_up(company, tmp_path / "b.tar.zst"))
    ledger = open_ledger(in_postgres, state_of(in_postgres))
    assert risks_of(ledger) == before
    assert not state_of(in_postgres).ledger.exists()
    ledger.append([score("c")], SOURCE)  # ids go on after the restored ones

    file = tmp_path / "standard.tar.zst"
    create_backup(in_postgres, state_of(in_postgres), config_of(company), file, NOW)
    embedded = elsewhere(company.settings, tmp_path / "embedded")
    restore_backup(embedded, file)
    back = open_ledger(embedded, state_of(embedded))
    assert risks_of(back) == risks_of(ledger)
    assert [row[3] for row in risks_of(back)] == ["a", "b", "c"]
    with back.engine.connect() as connection:
        assert connection.execute(sql.select(API_KEYS.c.name)).scalars().all() == ["crm"]
    ledger.engine.dispose()


def test_a_database_with_rows_is_refused(company, tmp_path, postgres):
    settings = elsewhere(company.settings, tmp_path / "standard", url=postgres)
    filled = Ledger(postgres)
    filled.append([score("other")], SOURCE)
    with pytest.raises(NotReady, match="not empty: its table risks has rows"):
        restore_backup(settings, back_up(company, tmp_path / "b.tar.zst"))
    with filled.engine.connect() as connection:
        assert count_rows(connection)["risks"] == 1
    filled.engine.dispose()


def test_a_folder_with_state_is_refused(company, tmp_path):
    file, before = back_up(company, tmp_path / "b.tar.zst"), contents(company.state.folder)
    with pytest.raises(NotReady, match=r"growing is not empty: it holds accounts\.db"):
        restore_backup(company.settings, file)
    assert contents(company.state.folder) == before


def _flip(name: str, content: bytes) -> bytes:
    return bytes([content[0] ^ 1]) + content[1:] if name == "state/published.json" else content


def _drop_file(name: str, content: bytes) -> bytes | None:
    return None if name == "state/published.json" else content


def _drop_manifest(name: str, content: bytes) -> bytes | None:
    return None if name == MANIFEST else content


def _raise_format(name: str, content: bytes) -> bytes:
    return content.replace(b'"format": 1', b'"format": 2') if name == MANIFEST else content


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (_flip, r"state/published\.json is not what was archived"),
        (_drop_file, r"state/published\.json is not what was archived"),
        (_drop_manifest, "it has no manifest"),
        (_raise_format, "its format is 2, and this release knows 1"),
    ],
)
def test_a_changed_archive_is_refused(company, tmp_path, change, message):
    file = back_up(company, tmp_path / "b.tar.zst")
    rewrite(file, change)
    settings = elsewhere(company.settings, tmp_path / "moved")
    with pytest.raises(DamagedState, match=message):
        restore_backup(settings, file)
    assert not state_of(settings).folder.exists()
    assert [path for path in settings.state.iterdir() if path.is_dir()] == []


@pytest.mark.parametrize("share", [0.0, 0.3, 0.9, 0.999])
def test_an_archive_that_is_cut_short_is_refused(company, tmp_path, share):
    file = back_up(company, tmp_path / "b.tar.zst")
    file.write_bytes(file.read_bytes()[: int(file.stat().st_size * share)])
    settings = elsewhere(company.settings, tmp_path / "moved")
    with pytest.raises(DamagedState, match="cannot be read"):
        restore_backup(settings, file)
    assert not state_of(settings).folder.exists()


def test_a_path_outside_the_folder_is_refused(tmp_path):
    file = tmp_path / "b.tar.zst"
    sink = pa.CompressedOutputStream(pa.OSFile(str(file), "wb"), "zstd")
    with sink as compressed, tarfile.open(fileobj=compressed, mode="w|") as archive:
        archive.addfile(tarfile.TarInfo("../outside"))
    (tmp_path / "folder").mkdir()
    with pytest.raises(DamagedState):
        extract_archive(file, tmp_path / "folder")
    assert not (tmp_path / "outside").exists()


def test_a_backup_of_another_configuration_is_refused(company, tmp_path):
    file = back_up(company, tmp_path / "b.tar.zst")
    settings = elsewhere(company.settings, tmp_path / "moved").model_copy(update={"name": "other"})
    with pytest.raises(ConfigError, match="is of the name growing, and the settings have other"):
        restore_backup(settings, file)


def test_the_settings_are_in_the_backup(company, tmp_path):
    files = restore_settings(back_up(company, tmp_path / "b.tar.zst"), tmp_path / "configs")
    assert {path.name for path in files} == {"growing.toml", "company.toml", "playbook.toml", "health_score.toml"}
    assert read_settings(tmp_path / "configs/growing.toml").name == "growing"


def test_what_is_outside_the_folder_is_named_as_left_out(company, tmp_path):
    servers = {"online": "redis://127.0.0.1:1", "mlflow": "https://mlflow.internal"}
    settings = company.settings.model_copy(update={"stores": StoreSettings.model_validate(servers)})
    manifest = create_backup(settings, company.state, config_of(company), tmp_path / "b.tar.zst", NOW)
    assert manifest.left_out == (
        "the online store in Redis: `oarlock publish` fills it again",
        "MLflow on its server: set stores.mlflow_database, or back up its database first, and then its artifacts",
    )


def test_nothing_is_published_during_a_backup(company, tmp_path):
    with exclusive_lock(company.state.publish_lock, "publishing into"), pytest.raises(Busy):
        back_up(company, tmp_path / "b.tar.zst")
    assert not (tmp_path / "b.tar.zst").exists()


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("b.tar", "does not say how it is compressed"),
        ("growing/state/growing/b.tar.zst", "is in the state folder"),
        ("missing/b.tar.zst", "is no folder"),
        ("growing/growing.tar.zst", "exists already"),
    ],
)
def test_a_file_that_cannot_be_written_is_named(company, tmp_path, name, message):
    (tmp_path / "growing/growing.tar.zst").touch()
    with pytest.raises(RequestError, match=message):
        back_up(company, tmp_path / name)


def test_commands_say_what_they_did(oarlock, company, tmp_path):
    file = tmp_path / "b.tar.zst"
    assert "2 risks in the ledger" in oarlock("backup", str(file), config=config_of(company)).out
    other = tmp_path / "other/growing.toml"
    other.parent.mkdir()
    other.write_text(config_of(company).read_text().replace("company.toml", f"{company.folder}/company.toml"))
    assert "2 risks in the ledger" in oarlock("restore", str(file), config=other).out
    assert oarlock("restore", str(file), config=other).failure[0] == 5
    assert oarlock("restore", str(tmp_path / "none.tar.zst"), config=other).failure == (
        9,
        f"oarlock: There is no file {tmp_path}/none.tar.zst. Name a file that `oarlock backup` wrote.",
    )
