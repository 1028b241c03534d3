"""Sources that are no CSV: JSON lines, zstd, and tables of SQLite and DuckDB files; epochs and time zones."""

import gzip
import sqlite3
from collections.abc import Callable
from datetime import datetime
from pathlib import Path

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from configs.errors import ConfigError, DataError
from configs.sections.publishing import DataSettings, EngineSettings
from features.ingestion.reader import cast_tables, open_tables
from features.tables.dataset import read_dataset

SUBSCRIPTIONS = "account_id,subscription_id,mrr,started_at\n007,1,49.90,2024-03-31 12:00:00\n"
Read = Callable[..., list[dict]]


@pytest.fixture
def read(tmp_path: Path) -> Read:
    """The rows of subscriptions that come from a file, under lines of its source."""
    (tmp_path / "accounts.csv").write_text("account_id,created_at\n007,2022-01-01\n")

    def rows(file: str, lines: str = "", select: str = "select * from contracts") -> list[dict]:
        source = f'[sources.contracts]\nfiles = "{file}"\n{lines}\n'
        mapping = f'name = "m"\n[sources]\naccounts = "accounts.csv"\n{source}[tables]\nsubscriptions = "{select}"\n'
        (tmp_path / "m.toml").write_text(mapping)
        dataset = read_dataset(DataSettings(dataset=tmp_path / "m.toml"))
        opened = open_tables(EngineSettings(threads=1), dataset, tmp_path / "converted")
        return cast_tables(opened.tables)["subscriptions"].rows.to_pyarrow().to_pylist()

    return rows


def test_json_lines_stay_as_written(read, tmp_path):
    first = '{"account_id": "007", "subscription_id": 12345678901234567890, "mrr": 49.90, "started_at": "2024-03-31"}'
    second = '{"account_id": "007", "subscription_id": 2, "mrr": 5, "started_at": "2024-04-01", "auto_renew": true}'
    (tmp_path / "contracts.jsonl").write_text(f"{first}\n\n{second}\n")
    rows = read("contracts.jsonl")
    assert [row["subscription_id"] for row in rows] == ["12345678901234567890", "2"]
    assert [(row["mrr"], row["auto_renew"]) for row in rows] == [(49.9, None), (5.0, True)]


@pytest.mark.parametrize("line", ["{not json}", "[1, 2]", '{"account_id": '])
def test_a_line_that_is_no_object_is_named(read, tmp_path, line):
    (tmp_path / "contracts.jsonl").write_text(f'{{"account_id": "007"}}\n{line}\n')
    with pytest.raises(DataError, match=r"contracts\.jsonl, line 2"):
        read("contracts.jsonl")


@pytest.mark.parametrize("ending", [".csv.gz", ".csv.zst"])
def test_compressed_csv_is_read(read, tmp_path, ending):
    file = tmp_path / f"contracts{ending}"
    if ending.endswith("gz"):
        file.write_bytes(gzip.compress(SUBSCRIPTIONS.encode()))
    else:
        with pa.output_stream(str(file), compression="zstd") as stream:
            stream.write(SUBSCRIPTIONS.encode())
    assert [row["mrr"] for row in read(file.name)] == [49.9]


def test_a_table_of_sqlite_is_read(read, tmp_path):
    with sqlite3.connect(tmp_path / "crm.sqlite") as database:
        database.execute("create table deals (account_id text, subscription_id integer, mrr real, started_at text)")
        database.execute("insert into deals values ('007', 9007199254740993, 49.9, '2024-03-31')")
        database.execute("create table other (x integer)")
    (row,) = read("crm.sqlite", 'table = "deals"')
    assert (row["account_id"], row["subscription_id"], row["mrr"]) == ("007", "9007199254740993", 49.9)


def test_a_row_of_sqlite_that_cannot_be_read_is_an_error_of_its_file(read, tmp_path):
    with sqlite3.connect(tmp_path / "crm.sqlite") as database:
        database.execute("create table deals (account_id text)")
        database.execute("insert into deals values ('007'), (cast(x'ff' as text))")
    with pytest.raises(DataError, match=r"Cannot read .*crm\.sqlite: Could not decode to UTF-8"):
        read("crm.sqlite")


def test_a_table_of_duckdb_is_read(read, tmp_path):
    with duckdb.connect(str(tmp_path / "crm.duckdb")) as connection:
        deal = "'007' as account_id, 1 as subscription_id, 49.90::decimal(9, 2) as mrr"
        connection.execute(f"create table deals as select {deal}, timestamptz '2024-03-31 12:00:00+02' as started_at")
    (row,) = read("crm.duckdb")
    assert (row["mrr"], row["started_at"]) == (49.9, datetime(2024, 3, 31, 10))


def test_a_view_of_a_duckdb_file_reads_no_other_file(read, tmp_path):
    (tmp_path / "secret.csv").write_text(SUBSCRIPTIONS)
    with duckdb.connect(str(tmp_path / "crm.duckdb")) as connection:
        connection.execute(f"create view deals as select * from read_csv('{tmp_path}/secret.csv')")
    with pytest.raises(DataError, match=r"Cannot read .*crm\.duckdb: Permission Error"):
        read("crm.duckdb")


def test_the_table_of_a_database_has_to_be_clear(read, tmp_path):
    with sqlite3.connect(tmp_path / "crm.sqlite") as database:
        database.execute("create table deals (x)")
        database.execute("create table other (x)")
    with pytest.raises(ConfigError, match=r"has several tables\. Set `table` of the source to one of deals, other"):
        read("crm.sqlite")


@pytest.mark.parametrize(("dates", "value"), [("epoch_seconds", "1711886400"), ("epoch_milliseconds", "1711886400000")])
def test_an_epoch_is_an_instant(read, tmp_path, dates, value):
    (tmp_path / "contracts.csv").write_text(SUBSCRIPTIONS.replace("2024-03-31 12:00:00", value))
    assert read("contracts.csv", f'dates = "{dates}"')[0]["started_at"] == datetime(2024, 3, 31, 12)


def test_an_epoch_in_parquet_is_an_instant(read, tmp_path):
    row = {"account_id": "007", "subscription_id": "1", "mrr": 1.0, "started_at": 1711886400}
    pq.write_table(pa.Table.from_pylist([row]), tmp_path / "contracts.parquet")
    assert read("contracts.parquet", 'dates = "epoch_seconds"')[0]["started_at"] == datetime(2024, 3, 31, 12)


@pytest.mark.parametrize(
    ("written", "instant"),
    [
        ("2024-01-15 12:00:00", datetime(2024, 1, 15, 11)),
        ("2024-07-15 12:00:00", datetime(2024, 7, 15, 10)),
        ("2024-07-15T12:00:00Z", datetime(2024, 7, 15, 12)),
        ("2024-07-15", datetime(2024, 7, 15)),
    ],
    ids=["winter", "summer", "with a zone", "a day has none"],
)
def test_times_without_a_zone_have_that_of_their_source(read, tmp_path, written, instant):
    (tmp_path / "contracts.csv").write_text(SUBSCRIPTIONS.replace("2024-03-31 12:00:00", written))
    assert read("contracts.csv", 'time_zone = "Europe/Berlin"')[0]["started_at"] == instant


def test_a_zone_that_does_not_exist_is_refused(read):
    with pytest.raises(ConfigError, match="'Mars/Olympus' is no time zone"):
        read("accounts.csv", 'time_zone = "Mars/Olympus"')
