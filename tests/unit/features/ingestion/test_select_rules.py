"""A select reads the declared sources and nothing else of the machine: by its rules, and by its connection."""

from collections.abc import Callable
from pathlib import Path

import duckdb
import pytest

from configs.errors import ConfigError
from configs.sections.publishing import DataSettings, EngineSettings
from features.compute.backends.connect import open_backend
from features.ingestion.reader import OpenTables, open_tables
from features.tables.dataset import Dataset, read_dataset

ENGINE = EngineSettings(threads=1)
COLUMNS = "'s' as account_id, 's' as subscription_id, 1.0 as mrr, timestamp '2022-01-01' as started_at"

# `{secret}` is a readable file that no source names, and `{target}` a file that must not come to be.
ESCAPES = [
    "select * from '{secret}'",
    'select * from "{secret}"',
    "select * from read_csv('{secret}')",
    "select * from read_csv_auto(['{secret}'])",
    "select * from read_text('{secret}')",
    "select * from read_blob('{secret}')",
    "select * from read_parquet('{secret}')",
    "select * from parquet_scan('{secret}')",
    "select * from read_json('{secret}')",
    "select * from glob('{folder}/*')",
    "select * from sniff_csv('{secret}')",
    "select * from query('select * from read_text(''{secret}'')')",
    "select * from query_table('{secret}')",
    "select * from json_execute_serialized_sql(json_serialize_sql('select 1'))",
    "select *, (select content from read_text('{secret}')) as plan from subscriptions",
    "select * from subscriptions where exists (from '{secret}')",
    "with hidden as (from '{secret}') select * from subscriptions",
    'with "{secret}" as (select * from "{secret}") select * from "{secret}"',
    "select * from subscriptions union all select * from '{secret}'",
    "select * from subscriptions; copy (select 1) to '{target}'",
    "copy (select 1) to '{target}'",
    "select * from subscriptions; attach '{target}'",
    "attach '{target}'",
    "install httpfs",
    "load httpfs",
    "set enable_external_access = true",
    "reset enable_external_access",
    "pragma enable_external_access = true",
    "call enable_logging()",
    "create table t as select 1",
    "export database '{target}'",
    "select * from subscriptions; select * from subscriptions",
    "select * from 'http://127.0.0.1:9/x.csv'",
    "select * from read_parquet('s3://bucket/x.parquet')",
    "select * from duckdb_settings()",
    "select * from information_schema.tables",
    "select * from pg_catalog.pg_class",
    "select * from sqlite_master",
    "select current_setting('temp_directory') as account_id from subscriptions",
    "select getenv('HOME') as account_id from subscriptions",
    "select reflect('java.lang.System', 'getenv', 'HOME') as account_id from subscriptions",
    'select * from csv."{secret}"',
    "summarize subscriptions",
    "select * from (show all tables)",
    "select * from local_variable",
    "",
]
SELECTS = [
    "select * from subscriptions",
    "select * from SUBSCRIPTIONS;",
    f"select {COLUMNS}",
    "select s.* from subscriptions s join accounts a using (account_id) left join accounts b on true",
    "with first as (select * from subscriptions), second as (select * from first) select * from second",
    "with recursive n as (select 1 as i union all select i + 1 from n where i < 3)"
    " select subscriptions.* from subscriptions, n where i = 1",
    "select * replace (mrr::double as mrr) from subscriptions qualify row_number() over (partition by account_id) = 1",
    "select account_id, subscription_id, started_at,"
    " sum(mrr::double) over (order by started_at rows between 1 preceding and current row) as mrr from subscriptions",
    "select account_id, subscription_id, unnest([1.0]) as mrr, started_at from subscriptions",
    "select account_id, subscription_id, mrr, started_at::timestamp + to_days(1) as started_at from subscriptions"
    " where lower(trim(account_id)) not like '%x' and coalesce(try_cast(mrr as double), 0) between -1 and 99",
    "select account_id, struct_pack(x := subscription_id).x as subscription_id, list_value(mrr)[1] as mrr, started_at"
    " from (select distinct on (account_id) * from subscriptions)",
    "from subscriptions select account_id, subscription_id, case when true then 1.0 end as mrr, started_at",
    "select columns(c -> c like '%_id'), mrr, started_at from subscriptions"
    " where account_id in (select account_id from accounts)",
    "select any_value(account_id) as account_id, strftime(min(started_at::timestamp), '%Y') as subscription_id,"
    " count(*)::double as mrr, min(started_at::timestamp) as started_at from subscriptions"
    " group by all having count(*) filter (account_id is not null) > 0",
    "select a.account_id, x as subscription_id, 1.0 as mrr, a.created_at as started_at"
    " from accounts a, lateral (select unnest(string_split(a.account_id, '-')) as x)",
]  # fmt: skip


@pytest.fixture
def make_dataset(tmp_path: Path) -> Callable[[str], Dataset]:
    """A data set of two CSV sources whose subscriptions are a select."""

    def write(select: str) -> Dataset:
        (tmp_path / "accounts.csv").write_text("account_id,created_at\na,2022-01-01\n")
        (tmp_path / "subscriptions.csv").write_text("account_id,subscription_id,mrr,started_at\na,1,10,2022-03-04\n")
        sources = 'accounts = "accounts.csv"\nsubscriptions = "subscriptions.csv"\n'
        text = f"name = 'm'\n[sources]\n{sources}[tables]\nsubscriptions = '''{select}'''\n"
        (tmp_path / "m.toml").write_text(text)
        return read_dataset(DataSettings(dataset=tmp_path / "m.toml"))

    return write


def _open(dataset: Dataset, folder: Path) -> OpenTables:
    return open_tables(ENGINE, dataset, folder / "state" / "converted")


@pytest.mark.parametrize("select", ESCAPES)
def test_a_select_reads_and_writes_nothing_but_the_sources(make_dataset, tmp_path: Path, select: str):
    secret, target = tmp_path / "secret.csv", tmp_path / "target"
    secret.write_text("account_id,subscription_id,mrr,started_at\nsecret,1,10,2022-03-04\n")
    text = select.format(secret=secret, target=target, folder=tmp_path)
    with pytest.raises(ConfigError) as refusal:
        _open(make_dataset(text), tmp_path)
    assert f"{tmp_path / 'm.toml'}: the select of 'subscriptions' " in refusal.value.message
    assert "\n" not in str(refusal.value)
    assert not target.exists()


@pytest.mark.parametrize("select", SELECTS)
def test_a_select_may_compute_what_it_likes_from_the_sources(make_dataset, tmp_path: Path, select: str):
    assert _open(make_dataset(select), tmp_path).tables["subscriptions"].rows.count().to_pyarrow().as_py() == 1


@pytest.mark.parametrize(
    "query",
    [
        "from read_text('{secret}')",
        "from read_csv('{secret}')",
        "copy (select 1) to '{secret}'",
        "attach '{secret}.db'",
        "install httpfs",
        "set enable_external_access = true",
        "set lock_configuration = false",
        "set allowed_directories = ['/']",
        "from glob('/etc/*')",
    ],
)
def test_the_connection_of_a_data_set_opens_no_other_file(make_dataset, tmp_path: Path, query: str):
    secret = tmp_path / "secret.csv"
    secret.write_text("secret")
    backend = open_backend(ENGINE, make_dataset("select * from subscriptions"), tmp_path / "state" / "converted")
    with pytest.raises(duckdb.Error, match=r"disabled|locked|Cannot access"):
        backend.connection.raw_sql(query.format(secret=secret)).fetchall()
    assert secret.read_text() == "secret"


def test_sources_are_read_in_folders_whose_names_look_like_patterns(tmp_path: Path):
    folder = tmp_path / "exports [2023] %20 é #1"
    folder.mkdir()
    (folder / "accounts.csv").write_text("account_id,created_at\na,2022-01-01\n")
    rows = f"copy (select {COLUMNS}) to '{folder / 'subscriptions.parquet'}'"
    duckdb.execute(rows)
    (folder / "m.toml").write_text(
        'name = "m"\n[sources]\naccounts = "accounts.csv"\nsubscriptions = "subscriptions.parquet"\n'
    )
    opened = _open(read_dataset(DataSettings(dataset=folder / "m.toml")), folder)
    counts = [opened.tables[name].rows.count().to_pyarrow().as_py() for name in ("accounts", "subscriptions")]
    assert counts == [1, 1]
