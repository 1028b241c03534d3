"""Reading raw tables: what is refused, in which words, and what is set aside."""

from datetime import datetime

import pyarrow.parquet as pq
import pytest

from configs.errors import ConfigError, DataError
from configs.settings import read_settings
from configs.state_dir import open_state
from features.publishing.pipeline import Opened, open_dataset
from tests.conftest import account, subscription

DAY = datetime(2023, 1, 1)
GOOD = {"accounts": [account("a"), account("b")], "subscriptions": [subscription("a", DAY), subscription("b", DAY)]}


def _open(config):
    settings = read_settings(config)
    return open_dataset(settings, open_state(settings))


def _ids(opened: Opened, table: str) -> list[str]:
    return sorted(opened.tables[table].rows.account_id.to_pyarrow().to_pylist())


def _refusal(config) -> str:
    with pytest.raises(DataError) as refused:
        _open(config)
    return str(refused.value)


def test_it_reads_a_company_that_keeps_to_the_contract(company):
    assert _ids(_open(company(**GOOD)), "accounts") == ["a", "b"]


def test_it_reads_csv_with_a_byte_order_mark(company, tmp_path):
    config = company(**GOOD)
    (tmp_path / "data/accounts.csv").write_text("\ufeffaccount_id,created_at\na,2023-01-01\nb,2023-01-01\n", "utf-8")
    mapping = tmp_path / "acme-data.toml"
    mapping.write_text(mapping.read_text().replace("accounts.parquet", "accounts.csv"))
    assert _ids(_open(config), "accounts") == ["a", "b"]


def test_it_refuses_an_empty_folder(company, tmp_path):
    config = company(**GOOD)
    for file in (tmp_path / "data").iterdir():
        file.unlink()
    assert "has no file 'accounts.parquet' for the source 'accounts'" in _refusal(config)


@pytest.fixture
def many_files(company, tmp_path):
    """A company whose subscriptions are read from every file that begins with their name."""
    config = company(**GOOD)
    mapping = tmp_path / "acme-data.toml"
    mapping.write_text(mapping.read_text().replace("subscriptions.parquet", "subscriptions*.parquet"))
    return config


def test_it_refuses_a_file_that_is_there_twice(many_files, tmp_path):
    (tmp_path / "data/subscriptions-copy.parquet").write_bytes((tmp_path / "data/subscriptions.parquet").read_bytes())
    assert "is a copy of subscriptions-copy.parquet: the source 'subscriptions'" in _refusal(many_files)


def test_files_without_rows_may_be_the_same(many_files, tmp_path):
    empty = pq.read_table(tmp_path / "data/subscriptions.parquet").slice(0, 0)
    for name in ("subscriptions-1", "subscriptions-2"):
        pq.write_table(empty, tmp_path / f"data/{name}.parquet")
    assert _ids(_open(many_files), "subscriptions") == ["a", "b"]


def test_it_refuses_a_missing_column(company):
    rows = [{k: v for k, v in row.items() if k != "mrr"} for row in GOOD["subscriptions"]]
    assert "subscriptions: the column 'mrr' is missing" in _refusal(company(**{**GOOD, "subscriptions": rows}))


def test_it_refuses_a_column_that_is_not_in_the_contract(company):
    rows = [account("a", colour="red"), account("b", colour="red")]
    assert "the column 'colour' is not in the contract" in _refusal(company(**{**GOOD, "accounts": rows}))


def test_it_refuses_a_missing_required_table(company):
    assert "the table 'subscriptions' is required" in _refusal(company(accounts=GOOD["accounts"]))


@pytest.mark.parametrize(
    ("rows", "why"),
    [
        ([subscription("a", DAY, mrr="much")], "mrr is not a number in 1 row"),
        ([subscription("a", DAY), subscription("a", DAY)], r"account_id \+ subscription_id is there more than once"),
        ([subscription("a", DAY, datetime(2022, 1, 1))], "ended_at lies before started_at in 1 row"),
        ([subscription("nobody", DAY)], "account_id is not in accounts in 1 row, first: account_id=nobody"),
        ([subscription("a", datetime(1, 1, 1))], "started_at is no meaningful instant"),
        ([subscription("a", DAY, mrr=None), subscription("b", DAY, mrr=1.0)], "mrr is empty in 1 row"),
    ],
)
def test_it_refuses_rows_outside_the_contract_and_names_file_column_count_and_the_first(company, rows, why):
    config = company(**{**GOOD, "subscriptions": rows})
    with pytest.raises(DataError, match=r"^subscriptions \(subscriptions.parquet\): " + why):
        _open(config)


def test_it_sets_bad_rows_aside_where_the_settings_say_so(company, tmp_path):
    rows = [*GOOD["subscriptions"], subscription("nobody", DAY)]
    opened = _open(company('on_invalid_rows = "quarantine"\n', **{**GOOD, "subscriptions": rows}))
    assert _ids(opened, "subscriptions") == ["a", "b"]
    assert [(breach.table, breach.rows) for breach in opened.breaches] == [("subscriptions", 1)]
    aside = pq.read_table(tmp_path / "state/acme/quarantine/subscriptions.parquet").to_pylist()
    assert [(row["account_id"], row["breach"]) for row in aside] == [("nobody", "account_id is not in accounts")]


def test_it_does_not_check_the_same_bytes_twice(company):
    config = company(**GOOD)
    assert [_open(config).checks_reused for _ in range(2)] == [False, True]


def test_it_checks_again_when_a_file_changed(company):
    _open(company(**GOOD))
    bad = [subscription("nobody", DAY)]
    assert "account_id is not in accounts" in _refusal(company(**{**GOOD, "subscriptions": bad}))


def test_it_refuses_a_select_that_does_not_run(company, tmp_path):
    config = company(**GOOD)
    mapping = tmp_path / "acme-data.toml"
    mapping.write_text(mapping.read_text() + '[tables]\nusage = "select nothing from nowhere"\n')
    with pytest.raises(ConfigError, match="the select of 'usage' fails"):
        _open(config)


def test_it_refuses_a_table_that_nobody_knows(company, tmp_path):
    config = company(**GOOD)
    mapping = tmp_path / "acme-data.toml"
    mapping.write_text(mapping.read_text() + '[tables]\ncustomers = "select 1"\n')
    with pytest.raises(ConfigError, match="'customers' is not a table"):
        _open(config)
