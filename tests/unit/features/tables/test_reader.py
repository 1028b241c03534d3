"""Reading raw tables: what is refused, with which message, and which rows are quarantined."""

from datetime import datetime

import pyarrow.parquet as pq
import pytest

from configs.errors import ConfigError, DataError
from configs.settings_file import read_settings
from configs.state_dir import open_state_dir
from features.publishing.open_dataset import OpenDataset, open_dataset
from tests.support.companies.raw_tables import account, subscription

DAY = datetime(2023, 1, 1)
GOOD = {"accounts": [account("a"), account("b")], "subscriptions": [subscription("a", DAY), subscription("b", DAY)]}


def _open(config):
    settings = read_settings(config)
    return open_dataset(settings, open_state_dir(settings))


def _ids(opened: OpenDataset, table: str) -> list[str]:
    return sorted(opened.tables[table].rows.account_id.to_pyarrow().to_pylist())


def _error_of(config) -> str:
    with pytest.raises(DataError) as refused:
        _open(config)
    return str(refused.value)


def test_it_reads_tables_that_obey_the_contract(make_company):
    assert _ids(_open(make_company(**GOOD)), "accounts") == ["a", "b"]


def test_it_reads_csv_with_a_byte_order_mark(make_company, tmp_path):
    config = make_company(**GOOD)
    (tmp_path / "data/accounts.csv").write_text("\ufeffaccount_id,created_at\na,2023-01-01\nb,2023-01-01\n", "utf-8")
    mapping = tmp_path / "acme-data.toml"
    mapping.write_text(mapping.read_text().replace("accounts.parquet", "accounts.csv"))
    assert _ids(_open(config), "accounts") == ["a", "b"]


def test_it_refuses_an_empty_folder(make_company, tmp_path):
    config = make_company(**GOOD)
    for file in (tmp_path / "data").iterdir():
        file.unlink()
    assert "has no file 'accounts.parquet' for the source 'accounts'" in _error_of(config)


@pytest.fixture
def many_files(make_company, tmp_path):
    """A company whose subscriptions are read from all files with a matching name."""
    config = make_company(**GOOD)
    mapping = tmp_path / "acme-data.toml"
    mapping.write_text(mapping.read_text().replace("subscriptions.parquet", "subscriptions*.parquet"))
    return config


def test_it_refuses_a_copy_of_a_file(many_files, tmp_path):
    (tmp_path / "data/subscriptions-copy.parquet").write_bytes((tmp_path / "data/subscriptions.parquet").read_bytes())
    assert "is a copy of subscriptions-copy.parquet: the source 'subscriptions'" in _error_of(many_files)


def test_files_without_rows_may_be_equal(many_files, tmp_path):
    empty = pq.read_table(tmp_path / "data/subscriptions.parquet").slice(0, 0)
    for name in ("subscriptions-1", "subscriptions-2"):
        pq.write_table(empty, tmp_path / f"data/{name}.parquet")
    assert _ids(_open(many_files), "subscriptions") == ["a", "b"]


def test_it_refuses_a_missing_column(make_company):
    rows = [{k: v for k, v in row.items() if k != "mrr"} for row in GOOD["subscriptions"]]
    assert "subscriptions: the column 'mrr' is missing" in _error_of(make_company(**{**GOOD, "subscriptions": rows}))


def test_it_refuses_a_column_that_is_not_in_the_contract(make_company):
    rows = [account("a", colour="red"), account("b", colour="red")]
    assert "the column 'colour' is not in the contract" in _error_of(make_company(**{**GOOD, "accounts": rows}))


def test_it_refuses_a_missing_required_table(make_company):
    assert "the required table 'subscriptions' is not mapped" in _error_of(make_company(accounts=GOOD["accounts"]))


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ([subscription("a", DAY, mrr="much")], "mrr is not a number in 1 row"),
        ([subscription("a", DAY), subscription("a", DAY)], r"account_id \+ subscription_id is repeated"),
        ([subscription("a", DAY, datetime(2022, 1, 1))], "ended_at is before started_at in 1 row"),
        (
            [subscription("nobody", DAY)],
            r"account_id is not in accounts in 1 row \(100 % of the table\), first: account_id=nobody",
        ),
        ([subscription("a", datetime(1, 1, 1))], "started_at is an invalid timestamp"),
        ([subscription("a", DAY, mrr=None), subscription("b", DAY, mrr=1.0)], "mrr is empty in 1 row"),
    ],
)
def test_it_refuses_rows_that_break_the_contract(make_company, rows, message):
    config = make_company(**{**GOOD, "subscriptions": rows})
    with pytest.raises(DataError, match=r"^subscriptions \(subscriptions.parquet\): " + message):
        _open(config)


def test_it_quarantines_invalid_rows_if_configured(make_company, tmp_path):
    rows = [*GOOD["subscriptions"], subscription("nobody", DAY)]
    opened = _open(make_company('on_invalid_rows = "quarantine"\n', **{**GOOD, "subscriptions": rows}))
    assert _ids(opened, "subscriptions") == ["a", "b"]
    assert [(violation.table, violation.rows) for violation in opened.violations] == [("subscriptions", 1)]
    quarantined = pq.read_table(tmp_path / "state/acme/quarantine/subscriptions.parquet").to_pylist()
    assert [(row["account_id"], row["breach"]) for row in quarantined] == [("nobody", "account_id is not in accounts")]


def test_it_does_not_validate_the_same_files_twice(make_company):
    config = make_company(**GOOD)
    assert [_open(config).validation_reused for _ in range(2)] == [False, True]


def test_it_validates_again_when_a_file_changed(make_company):
    _open(make_company(**GOOD))
    bad = [subscription("nobody", DAY)]
    assert "account_id is not in accounts" in _error_of(make_company(**{**GOOD, "subscriptions": bad}))


def test_it_refuses_a_select_that_fails(make_company, tmp_path):
    config = make_company(**GOOD)
    mapping = tmp_path / "acme-data.toml"
    mapping.write_text(mapping.read_text() + '[tables]\nusage = "select nothing from accounts"\n')
    with pytest.raises(ConfigError, match="the select of 'usage' fails"):
        _open(config)


def test_it_refuses_an_unknown_table(make_company, tmp_path):
    config = make_company(**GOOD)
    mapping = tmp_path / "acme-data.toml"
    mapping.write_text(mapping.read_text() + '[tables]\ncustomers = "select 1"\n')
    with pytest.raises(ConfigError, match="'customers' is not a table"):
        _open(config)
