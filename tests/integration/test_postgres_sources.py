"""Sources in Postgres: what is read is what the server holds now, of one instant, and nothing is written there."""

import subprocess
from collections.abc import Callable
from datetime import datetime
from pathlib import Path

import psycopg
import pytest

from configs.errors import ConfigError, NotReady
from configs.settings import Settings
from configs.settings_file import read_settings
from configs.state_dir import open_state_dir
from features.ingestion.copies.copied_dataset import fetch_dataset
from features.ingestion.copies.postgres import SESSION, open_snapshot
from features.ingestion.reader import open_converted
from features.publishing.open_dataset import OpenDataset, open_dataset
from features.tables.dataset import read_dataset
from serving.ledger.ledger import Ledger
from serving.security.erasure import erase_account

TABLES = """
create table crm (id text, signed timestamp, country text);
insert into crm values
  ('a', '2023-01-01 00:30', 'DE'), ('b', '2023-02-01 12:00', E'quo"te, and\nline'), ('c', '2023-03-01', '');
create table contracts (
  account text, number bigint, price numeric(12, 2), begins timestamptz, ends date, renews_itself boolean, terms jsonb
);
insert into contracts values
  ('a', 9007199254740993, 1234567.89, '2023-01-01 01:00+01', '2023-06-01', true, '{"net": 30}'),
  ('b', 2, 0.10, '2023-07-01 02:00+02', null, false, null),
  ('c', 3, 99, '2023-03-01 00:00+00', null, null, null);
"""
MAPPING = """
name = "acme"
observed_until = 2024-01-01T00:00:00Z
[sources.crm]
database = "{url}"
table = "crm"
time_zone = "Europe/Berlin"
[sources.contracts]
database = "{url}"
query = "{query}"
[tables]
accounts = "select id as account_id, signed as created_at, country from crm"
subscriptions = '''select account as account_id, number as subscription_id, price as mrr, begins as started_at,
  ends as ended_at, renews_itself as auto_renew from contracts'''
"""
QUERY = "select * from contracts -- all of them"
Make = Callable[..., Settings]


@pytest.fixture
def company(postgres: str, tmp_path: Path) -> Make:
    """Create the tables, and write settings for a mapping that reads them."""

    def write(query: str = QUERY, extra: str = "", url: str = postgres) -> Settings:
        mapping = MAPPING.format(url=url, query=query).replace("[sources.contracts]", f"{extra}\n[sources.contracts]")
        (tmp_path / "mapping.toml").write_text(mapping)
        (tmp_path / "acme.toml").write_text('state = "state"\n[data]\ndataset = "mapping.toml"\n')
        return read_settings(tmp_path / "acme.toml")

    execute(postgres, TABLES)
    return write


def execute(url: str, statements: str) -> None:
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(statements.encode())


def opened(settings: Settings) -> OpenDataset:
    return open_dataset(settings, open_state_dir(settings))


def rows(settings: Settings, table: str) -> dict[str, dict]:
    frame = opened(settings).tables[table].rows.to_pyarrow().to_pylist()
    return {row["account_id"]: row for row in frame}


def test_values_of_the_server_are_those_of_the_contract(company: Make):
    settings = company()
    accounts, contracts = rows(settings, "accounts"), rows(settings, "subscriptions")
    # 00:30 in Berlin is 23:30 UTC of the day before: the source declares its zone.
    assert [accounts[name]["created_at"] for name in "ab"] == [datetime(2022, 12, 31, 23, 30), datetime(2023, 2, 1, 11)]
    assert [accounts[name]["country"] for name in "abc"] == ["DE", 'quo"te, and\nline', None]
    expected = {"mrr": 1234567.89, "started_at": datetime(2023, 1, 1), "ended_at": datetime(2023, 6, 1)}
    assert expected | {"auto_renew": True, "subscription_id": "9007199254740993"} == {
        name: contracts["a"][name] for name in (*expected, "auto_renew", "subscription_id")
    }
    assert [contracts[name]["auto_renew"] for name in "bc"] == [False, None]
    assert contracts["b"]["started_at"] == datetime(2023, 7, 1)


def test_equal_rows_are_an_equal_data_set_in_whatever_order(company: Make, postgres: str):
    settings = company()
    before = opened(settings).dataset
    execute(postgres, "create table moved as select * from crm order by id desc")
    execute(postgres, "drop table crm; alter table moved rename to crm")
    again = opened(settings).dataset
    assert again.content_hash() == before.content_hash()
    assert again.all_files == before.all_files


def test_a_changed_row_is_read_at_once(company: Make, postgres: str):
    settings = company()
    before = opened(settings).dataset.content_hash()
    execute(postgres, "update contracts set price = 98 where account = 'c'")
    assert rows(settings, "subscriptions")["c"]["mrr"] == 98
    assert opened(settings).dataset.content_hash() != before


def test_all_sources_of_a_database_are_of_one_instant(postgres: str):
    execute(postgres, TABLES)
    with open_snapshot(postgres, None) as connection:
        assert connection.execute("select count(*) from crm").fetchone() == (3,)
        execute(postgres, "delete from crm; delete from contracts")
        assert connection.execute("select count(*) from crm").fetchone() == (3,)
        assert connection.execute("select count(*) from contracts").fetchone() == (3,)


def test_nothing_can_be_written(postgres: str):
    execute(postgres, TABLES)
    with open_snapshot(postgres, None) as connection, pytest.raises(psycopg.errors.ReadOnlySqlTransaction):
        connection.execute("delete from crm")


def test_a_table_that_stays_locked_is_named(company: Make, postgres: str, monkeypatch: pytest.MonkeyPatch):
    settings = company()
    monkeypatch.setitem(SESSION, "lock_timeout", "100")
    with psycopg.connect(postgres) as connection:
        connection.execute("lock table crm in access exclusive mode")
        with pytest.raises(NotReady, match="The source 'crm' cannot be read now: canceling statement due to lock"):
            opened(settings)


@pytest.mark.parametrize(
    ("query", "reason"),
    [
        ("delete from contracts returning *", "read-only transaction"),
        ("select 1; delete from contracts", "cannot insert multiple commands"),
        ("select 1) to program 'touch {escaped}'; --", "syntax error"),
        ("select 1) to program 'touch {escaped}' with (format csv); select (1", "syntax error"),
        ("copy contracts to program 'touch {escaped}'", "syntax error"),
        ("select * from nothing", 'relation \\"nothing\\" does not exist'),
        ("select account, account from contracts", "it has the column 'account' twice"),
    ],
)
def test_a_query_that_is_more_than_a_select_is_refused(company: Make, tmp_path: Path, query: str, reason: str):
    escaped = tmp_path / "escaped"
    with pytest.raises(ConfigError, match="The source 'contracts' cannot be read from its database") as refusal:
        opened(company(query.format(escaped=escaped)))
    assert reason.replace("\\", "") in refusal.value.message
    assert not escaped.exists()
    assert rows(company(), "subscriptions").keys() == {"a", "b", "c"}


@pytest.mark.parametrize(
    ("escape", "reason"),
    [
        ("attach '{url}' as pg (type postgres); select 1", "is not one SELECT"),
        ("select * from postgres_scan('{url}', 'public', 'crm')", "calls postgres_scan"),
        ("select * from '{copy}'", "which is not a source"),
        ("select * from pg.public.crm", "which is not a source"),
    ],
)
def test_the_select_of_a_table_reads_its_sources_and_nothing_else(
    company: Make, postgres: str, tmp_path: Path, *, escape: str, reason: str
):
    settings = company()
    copy = fetch_dataset(settings.data).files["crm"][0]
    mapping = (tmp_path / "mapping.toml").read_text()
    select = 'accounts = "select id as account_id, signed as created_at, country from crm"'
    assert select in mapping
    escaping = f'accounts = "{escape.format(url=postgres, copy=copy)}"'
    (tmp_path / "mapping.toml").write_text(mapping.replace(select, escaping))
    with pytest.raises(ConfigError, match=reason):
        opened(settings)


def test_without_the_database_nothing_old_is_served(company: Make):
    settings = company()
    opened(settings)
    gone = company(url="postgresql://root@127.0.0.1:9/test")
    with pytest.raises(NotReady, match="Cannot reach the database of the sources: connection"):
        opened(gone)


def test_what_was_converted_is_read_without_the_database(company: Make, postgres: str):
    settings = company()
    opened(settings)
    execute(postgres, "drop table crm, contracts")
    tables = open_converted(settings.engine, read_dataset(settings.data), open_state_dir(settings).converted).tables
    assert tables["accounts"].rows.count().to_pyarrow().as_py() == 3


def test_another_query_has_no_copy_yet(company: Make):
    state = open_state_dir(company())
    fetch_dataset(company().data)
    assert read_dataset(company().data).files["contracts"]
    other = company("select * from contracts where price > 1")
    with pytest.raises(NotReady, match="'crm' has not been copied yet"):
        open_converted(other.engine, read_dataset(other.data), state.converted)


def test_a_copy_is_kept_while_it_is_read_and_removed_after(company: Make, postgres: str):
    settings = company()
    first = fetch_dataset(settings.data)
    execute(postgres, "delete from crm where id = 'c'")
    second = fetch_dataset(settings.data)
    assert all(file.exists() for file in (*first.all_files, *second.all_files))
    assert first.copies is not None
    first.copies.close()
    fetch_dataset(settings.data)
    assert not any(file.exists() for file in first.all_files)


def test_an_erasure_removes_the_copies_and_counts_their_lines(company: Make):
    settings = company()
    state = open_state_dir(settings)
    opened(settings)
    removed = erase_account(state, Ledger(state.ledger).engine, "a", datetime(2024, 1, 1))["removed"]
    assert removed["files copied"] == 2
    assert list(state.copies.glob("*/*")) == []


@pytest.mark.parametrize("secret", ["postgresql://u:hunter2@h/d", "postgresql://u@h/d?password=hunter2"])
def test_a_password_in_a_mapping_is_refused_and_not_repeated(company: Make, secret: str):
    with pytest.raises(ConfigError, match="it holds a password") as refusal:
        opened(company(url=secret))
    assert "hunter2" not in f"{refusal.value.message} {refusal.value.hint}"


def test_the_password_comes_from_the_environment_and_shows_nowhere(
    company: Make, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
):
    settings = company(extra='password_env = "CRM_PASSWORD"')
    with pytest.raises(ConfigError, match="no variable CRM_PASSWORD"):
        opened(settings)
    monkeypatch.setenv("CRM_PASSWORD", "hunter2")
    opened(settings)
    files = [file for file in tmp_path.rglob("*") if file.is_file() and b"hunter2" in file.read_bytes()]
    assert files == []
    assert "hunter2" not in subprocess.run(["ps", "-eo", "args"], check=True, capture_output=True, text=True).stdout
    broken = company(extra='password_env = "CRM_PASSWORD"', url="postgresql://root@127.0.0.1:9/test")
    with pytest.raises(NotReady) as refusal:
        opened(broken)
    assert "hunter2" not in f"{refusal.value.message} {refusal.value.hint}"
