"""CSV files become rows: as text, joined by name over all files of a source, and cast by the contract."""

import gc
from collections.abc import Callable
from datetime import datetime
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from configs.errors import ConfigError, DataError
from configs.sections.publishing import DataSettings, EngineSettings
from features.ingestion.reader import OpenTables, cast_tables, open_tables
from features.ingestion.validation import validate_tables
from features.tables.dataset import read_dataset

ACCOUNTS = "account_id,created_at\na,2022-01-01\nb,2022-01-01\n"
SUBSCRIPTIONS = "account_id,subscription_id,mrr,started_at\na,1,10,2022-03-04\n"
Open = Callable[..., OpenTables]
ENGINE = EngineSettings(threads=1)


@pytest.fixture
def open_files(tmp_path: Path) -> Open:
    """Write files, a mapping of `sources` and selects, and read them."""

    def read(files: dict[str, str | bytes], sources: str = "", selects: str = "") -> OpenTables:
        for name, content in files.items():
            path = tmp_path / "data" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content.encode() if isinstance(content, str) else content)
        defaults = 'accounts = "accounts*.csv"\nsubscriptions = "subscriptions*"\n'
        mapping = f'name = "m"\nfolder = "data"\n[sources]\n{defaults}{sources}\n[tables]\n{selects}'
        (tmp_path / "m.toml").write_text(mapping)
        dataset = read_dataset(DataSettings(dataset=tmp_path / "m.toml"))
        return open_tables(ENGINE, dataset, tmp_path / "converted")

    return read


def _rows(opened: OpenTables, table: str = "subscriptions") -> list[dict]:
    rows = cast_tables(opened.tables)[table].rows
    return rows.order_by(["account_id", rows.columns[1]]).to_pyarrow().to_pylist()


def _column(opened: OpenTables, column: str, table: str = "subscriptions") -> list:
    return [row[column] for row in _rows(opened, table)]


@pytest.mark.parametrize("account_id", ["90071992547409931234", "007", "1.10", "1e5", "NULL", "NA", "true", "6/1/2023"])
def test_text_stays_as_written(open_files: Open, account_id: str):
    opened = open_files(
        {
            "accounts.csv": f"account_id,created_at\n{account_id},2022-01-01\n",
            "subscriptions.csv": SUBSCRIPTIONS.replace("\na,", f"\n{account_id},"),
        }
    )
    assert _column(opened, "account_id") == [account_id]


def test_files_are_joined_by_name(open_files: Open):
    opened = open_files(
        {
            "accounts.csv": ACCOUNTS,
            "subscriptions_1.csv": SUBSCRIPTIONS,
            "subscriptions_2.csv": "plan,started_at,mrr,subscription_id,account_id\npro,2022-05-06,49.90,2,b\n",
            "subscriptions_3.csv": "",
            "subscriptions_4.csv": "account_id,subscription_id,mrr,started_at\n",
        }
    )
    assert _column(opened, "mrr") == [10.0, 49.9]
    assert _column(opened, "plan") == [None, "pro"]
    assert opened.conversion.readings[1].missing["plan"] == ("subscriptions_1.csv", "subscriptions_4.csv")


def test_an_order_is_taken_that_is_the_only_one_to_fit_all_files(open_files: Open):
    opened = open_files(
        {
            "accounts.csv": ACCOUNTS,
            "subscriptions_1.csv": SUBSCRIPTIONS.replace("2022-03-04", "3/4/2022"),
            "subscriptions_2.csv": SUBSCRIPTIONS.replace("a,1,10,2022-03-04", "b,2,20,12/31/2022 11:30 PM"),
        }
    )
    assert _column(opened, "started_at") == [datetime(2022, 3, 4), datetime(2022, 12, 31, 23, 30)]
    assert opened.conversion.readings[1].dates == "month_first"


def test_dates_of_both_orders_are_refused_by_file_column_and_setting(open_files: Open):
    files = {"accounts.csv": ACCOUNTS, "subscriptions_1.csv": SUBSCRIPTIONS.replace("2022-03-04", "3/4/2022")}
    with pytest.raises(DataError, match=r"subscriptions_1.csv, column 'started_at': the date '3/4/2022'.*dates = "):
        open_files(files)


@pytest.mark.parametrize(("dates", "month"), [("month_first", 3), ("day_first", 4), ("%m/%d/%Y", 3)])
def test_a_declared_order_is_used(open_files: Open, dates: str, month: int):
    files = {"accounts.csv": ACCOUNTS, "subs.csv": SUBSCRIPTIONS.replace("2022-03-04", "3/4/2022")}
    select = 'subscriptions = "select * from subs"'
    source = f'[sources.subs]\nfiles = "subs.csv"\ndates = "{dates}"'
    opened = open_files({**files, "subscriptions.csv": SUBSCRIPTIONS}, source, select)
    assert _rows(opened)[0]["started_at"].month == month


def test_declared_dialects_are_read(open_files: Open):
    text = "account_id;subscription_id;plan;mrr;started_at\na;1;Grundgebühr;49,90;4.3.2022\n"
    source = '[sources.subs]\nfiles = "subs.csv"\ndecimal = ","\nencoding = "latin-1"\ndates = "%d.%m.%Y"'
    opened = open_files(
        {"accounts.csv": ACCOUNTS, "subscriptions.csv": SUBSCRIPTIONS, "subs.csv": text.encode("latin-1")},
        source,
        'subscriptions = "select * from subs"',
    )
    assert {**_rows(opened)[0], "account_id": "a"}.items() >= {"plan": "Grundgebühr", "mrr": 49.9}.items()
    assert _column(opened, "started_at") == [datetime(2022, 3, 4)]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (SUBSCRIPTIONS + "b,2\n", "subscriptions_2.csv, line 3: 2 values where the header has 4 columns: 'b,2'"),
        (SUBSCRIPTIONS + '\n"Grand Totals"\n', "subscriptions_2.csv, line 4: 1 value"),
        ((SUBSCRIPTIONS + "b,ü,1,2022-01-01\n").encode("latin-1"), r"subscriptions_2.csv, line 3: .* is not in UTF-8"),
        (SUBSCRIPTIONS + 'b,"say \\"x\\"",1,2022-01-01\n', "subscriptions_2.csv, line 3: a quoted value is not valid"),
        ("account_id,account_id\n1,2\n", "subscriptions_2.csv: its header has the column 'account_id' twice"),
        ("a;b,c\n1;2,3\n", "subscriptions_2.csv: both ',' and ';' could separate its values"),
    ],
)
def test_a_file_that_is_not_valid_csv_is_refused_by_file_and_line(open_files: Open, content: str | bytes, message: str):
    files = {"accounts.csv": ACCOUNTS, "subscriptions_1.csv": SUBSCRIPTIONS, "subscriptions_2.csv": content}
    with pytest.raises(DataError, match=message):
        open_files(files)


def test_an_instant_with_a_zone_is_converted_to_utc(open_files: Open):
    rows = SUBSCRIPTIONS.replace("2022-03-04", "2022-03-04T01:00:00+02:00")
    opened = open_files({"accounts.csv": ACCOUNTS, "subscriptions.csv": rows})
    assert _column(opened, "started_at") == [datetime(2022, 3, 3, 23)]


@pytest.mark.parametrize("written", ["1,234", "1_000", "0x10", "1.234.5", "10 EUR", "1e5x"])
def test_what_is_no_number_stands_as_written_for_validation(open_files: Open, written: str):
    rows = SUBSCRIPTIONS.replace(",10,", f',"{written}",')
    opened = open_files({"accounts.csv": ACCOUNTS, "subscriptions.csv": rows})
    assert opened.tables["subscriptions"].rows.mrr.to_pyarrow().to_pylist() == [f'"{written}"']
    assert _column(opened, "mrr") == [None]


def test_shadow_files_are_ignored(open_files: Open, tmp_path: Path):
    shadows = {f"subscriptions/{name}": b"\x00\x05" for name in ("._1.csv", ".1.csv", "~$1.csv")}
    source = '[sources.subs]\nfiles = "subscriptions/*.csv"'
    opened = open_files(
        {"accounts.csv": ACCOUNTS, "subscriptions.csv": SUBSCRIPTIONS, "subscriptions/1.csv": SUBSCRIPTIONS, **shadows},
        source,
        'subscriptions = "select * from subs"',
    )
    dataset = read_dataset(DataSettings(dataset=tmp_path / "m.toml"))
    assert _column(opened, "account_id") == ["a"]
    assert sorted(file.name for file in dataset.ignored["subs"]) == [".1.csv", "._1.csv", "~$1.csv"]


def test_a_select_that_computes_on_text_is_refused_with_the_cast_to_write(open_files: Open):
    select = 'subscriptions = "select * replace (mrr + seats as mrr) from subscriptions"'
    with pytest.raises(ConfigError, match=r"the text of CSV columns: mrr \+ seats\. Cast .* mrr::double"):
        open_files({"accounts.csv": ACCOUNTS, "subscriptions.csv": SUBSCRIPTIONS}, selects=select)


@pytest.mark.parametrize(
    ("column", "accepted"),
    [
        ("max(mrr)", False),
        ("max(cast(mrr as double))", True),
        ("arg_max(mrr, started_at)", False),
        ("arg_max(mrr, started_at::timestamp)", True),
        ("any_value(mrr) filter (started_at < '2023')", False),
        ("any_value(mrr) filter (started_at::timestamp < timestamp '2023-01-01')", True),
    ],
)
def test_a_select_that_orders_text_is_refused(open_files: Open, column: str, accepted: bool):
    rest = "account_id, any_value(subscription_id) as subscription_id, any_value(started_at) as started_at"
    select = f'subscriptions = "select {rest}, {column} as mrr from subscriptions group by account_id"'
    files = {"accounts.csv": ACCOUNTS, "subscriptions.csv": SUBSCRIPTIONS + "a,2,9,2022-03-04\n"}
    if accepted:
        assert _column(open_files(files, selects=select), "account_id") == ["a"]
    else:
        with pytest.raises(ConfigError, match=r"the select of 'subscriptions' orders the text of a CSV column"):
            open_files(files, selects=select)


def _parquet(path: Path, **columns: list) -> None:
    path.parent.mkdir(exist_ok=True)
    pq.write_table(pa.table(columns), path)


def test_parquet_files_take_the_widest_type(open_files: Open, tmp_path: Path):
    days = [datetime(2022, 3, 4)]
    _parquet(
        tmp_path / "data/subscriptions_1.parquet", account_id=["a"], subscription_id=["1"], mrr=[50], started_at=days
    )
    _parquet(
        tmp_path / "data/subscriptions_2.parquet", mrr=[49.9], started_at=days, subscription_id=["2"], account_id=["b"]
    )
    assert _column(open_files({"accounts.csv": ACCOUNTS}), "mrr") == [50.0, 49.9]


def test_parquet_types_that_cannot_be_joined_are_refused_by_file_and_column(open_files: Open, tmp_path: Path):
    _parquet(tmp_path / "data/subscriptions_1.parquet", account_id=["a"], mrr=[50])
    _parquet(tmp_path / "data/subscriptions_2.parquet", account_id=["a"], mrr=["50"])
    with pytest.raises(DataError, match=r"subscriptions_2.parquet: the column 'mrr' is string, .* it is int64"):
        open_files({"accounts.csv": ACCOUNTS})


def test_a_corrupt_parquet_file_is_refused_by_name(open_files: Open, tmp_path: Path):
    _parquet(tmp_path / "data/subscriptions_1.parquet", account_id=["a"], mrr=[50])
    with pytest.raises(DataError, match=r"Cannot read .*subscriptions_2.parquet: it is not a complete Parquet file"):
        open_files({"accounts.csv": ACCOUNTS, "subscriptions_2.parquet": b"PAR1 cut off"})


def test_a_conversion_is_reused_and_replaced_by_that_of_other_content(open_files: Open, tmp_path: Path):
    files = {"accounts.csv": ACCOUNTS, "subscriptions.csv": SUBSCRIPTIONS}
    first = open_files(files).conversion
    assert open_files(files).conversion.folder == first.folder
    assert first.folder.parent.stat().st_mode & 0o777 == 0o700
    assert first.lock
    first.lock.close()
    second = open_files({**files, "subscriptions.csv": SUBSCRIPTIONS.replace("10", "20")}).conversion
    assert second.folder != first.folder
    assert [path for path in (tmp_path / "converted").iterdir() if path.is_dir()] == [second.folder]


@pytest.mark.filterwarnings("error::ResourceWarning", "error::pytest.PytestUnraisableExceptionWarning")
def test_a_conversion_is_locked_as_long_as_its_tables_are_kept(open_files: Open):
    opened = open_files({"accounts.csv": ACCOUNTS, "subscriptions.csv": SUBSCRIPTIONS})
    lock, rows = opened.conversion.lock, opened.tables["accounts"].rows
    assert lock
    del opened
    gc.collect()
    assert not lock.closed
    assert rows.count().to_pyarrow().as_py()
    del rows
    gc.collect()
    assert lock.closed


SEATS = "account_id,subscription_id,mrr,seats,started_at\na,1,10,2,2022-03-04\n"


def computed_mrr(open_files: Open, expression: str, source: str = SEATS, declared: str = "") -> list[object]:
    """The mrr that a select computes from a CSV file."""
    select = f"select account_id, subscription_id, started_at, {expression} as mrr from source"
    files = {"accounts.csv": ACCOUNTS, "source.csv": source, "subscriptions.csv": SUBSCRIPTIONS}
    opened = open_files(files, declared or 'source = "source.csv"', f'subscriptions = "{select}"')
    return _column(opened, "mrr")


@pytest.mark.parametrize(
    ("expression", "mrr"),
    [
        ("seats * mrr", 20.0),
        ("mrr * seats / 100.0", 0.2),
        ("-mrr", -10.0),
        ("sum(mrr) over ()", 10.0),
        ("round(mrr, 0)", 10.0),
        ("(mrr::double) / seats", 5.0),
    ],
)
def test_text_that_only_numbers_can_be_computed_with_is_read_as_numbers(open_files: Open, expression: str, mrr: float):
    assert computed_mrr(open_files, expression) == [mrr]


def test_a_sum_of_text_is_refused_with_the_cast(open_files: Open):
    with pytest.raises(ConfigError, match=r"CSV columns: mrr \+ seats\. Cast .* such as mrr::double, seats::double"):
        computed_mrr(open_files, "mrr + seats")


def test_text_with_a_decimal_comma_is_not_computed_with(open_files: Open):
    source = "account_id;subscription_id;mrr;seats;started_at\na;1;10,5;2;2022-03-04\n"
    with pytest.raises(ConfigError, match=r"CSV columns: seats \* mrr\. Cast"):
        computed_mrr(open_files, "seats * mrr", source, 'source = { files = "source.csv", decimal = "," }')


def test_an_invalid_row_is_named_by_file_and_line(open_files: Open, tmp_path: Path):
    open_files({"accounts.csv": ACCOUNTS, "subscriptions_1.csv": SUBSCRIPTIONS})
    bad = SUBSCRIPTIONS.replace("a,1,10,2022-03-04", "a,2,10,2022-03-04\nb,3,x,2022-03-04")
    opened = open_files({"subscriptions_2.csv": bad})
    dataset = read_dataset(DataSettings(dataset=tmp_path / "m.toml"))
    (violation,) = validate_tables(dataset, opened.tables)
    assert violation.files == ("subscriptions_2.csv, line 3",)
    assert str(violation).startswith("subscriptions (subscriptions_2.csv, line 3): mrr is not a number in 1 row")


def test_a_repeated_key_is_named_in_both_files(open_files: Open, tmp_path: Path):
    opened = open_files(
        {"accounts.csv": ACCOUNTS, "subscriptions_1.csv": SUBSCRIPTIONS, "subscriptions_2.csv": SUBSCRIPTIONS}
    )
    (violation,) = validate_tables(read_dataset(DataSettings(dataset=tmp_path / "m.toml")), opened.tables)
    assert violation.files == ("subscriptions_1.csv, line 2", "subscriptions_2.csv, line 2")
