"""Amounts of several currencies are converted by a table of rates, as `docs/how-to/bring-your-own-data.md` says."""

import pytest

from configs.errors import ConfigError
from configs.sections.publishing import DataSettings, EngineSettings
from features.ingestion.reader import cast_tables, open_tables
from features.ingestion.validation import validate_tables
from features.tables.dataset import read_dataset

CONTRACTS = """contract_id,account_id,began,price,currency
c1,a,2024-02-01,100,EUR
c2,a,2024-03-01,100,USD
c3,b,2025-03-01,100,USD
c4,b,2025-03-01,100,CHF
"""
RATES = """currency,valid_from,rate
EUR,2020-01-01,1
USD,2024-01-01,0.92
USD,2025-01-01,0.96
"""
MAPPING = """name = "acme"
currency = "EUR"
[sources]
accounts = "accounts.csv"
contracts = "contracts.csv"
rates = "rates.csv"
[tables]
subscriptions = '''
select contracts.account_id, contracts.contract_id as subscription_id, contracts.began as started_at,
       contracts.price::double * rates.rate::double as mrr
from contracts asof left join rates
  on contracts.currency = rates.currency and contracts.began::timestamp >= rates.valid_from::timestamp
'''
"""


@pytest.fixture
def settings(tmp_path) -> DataSettings:
    (tmp_path / "accounts.csv").write_text("account_id,created_at\na,2024-01-01\nb,2024-01-01\n")
    (tmp_path / "contracts.csv").write_text(CONTRACTS)
    (tmp_path / "rates.csv").write_text(RATES)
    (tmp_path / "mapping.toml").write_text(MAPPING)
    return DataSettings(dataset=tmp_path / "mapping.toml")


def test_each_amount_has_the_rate_of_its_day_and_none_without_a_rate(settings: DataSettings, tmp_path):
    dataset = read_dataset(settings)
    opened = open_tables(EngineSettings(threads=1), dataset, tmp_path / "converted")
    rows = cast_tables(opened.tables)["subscriptions"].rows.order_by("subscription_id")
    assert rows["mrr"].to_pyarrow().to_pylist() == [100.0, 92.0, 96.0, None]
    assert [(fault.table, fault.rule, fault.rows) for fault in validate_tables(dataset, opened.tables)] == [
        ("subscriptions", "mrr is empty", 1)
    ]


@pytest.mark.parametrize("currency", ["euro", "EURO", "€", ""])
def test_a_currency_is_a_code_of_iso_4217(settings: DataSettings, currency: str):
    settings.dataset.write_text(MAPPING.replace("EUR", currency, 1))
    with pytest.raises(ConfigError, match=r"mapping\.toml: currency"):
        read_dataset(settings)
