"""What the contracts of a company add up to: as a mapping gives them, and as they were simulated."""

from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import duckdb

from configs.sections.publishing import DataSettings, EngineSettings
from features.compute.backends.duckdb import quote_text
from features.ingestion.reader import cast_tables, open_tables
from features.tables.dataset import read_dataset

QUERY = """
select count(*), count(left_at), round(sum(mrr) filter (left_at is null), 2)::double,
       coalesce(sum(left_at::date - date '2000-01-01'), 0)::bigint
from (select account_id, arg_max(mrr, started_at) as mrr,
             case when bool_and(coalesce(ended_at <= timestamp '{end}', false)) then max(ended_at) end as left_at
      from {table} group by 1)"""


@dataclass(frozen=True)
class Contracts:
    """Accounts, those that left until a day, the MRR of the others, and the sum of the days of leaving."""

    accounts: int
    left: int
    mrr: float
    days_of_leaving: int


def mapped_contracts(mapping: Path, scratch: Path, end: datetime) -> Contracts | None:
    """The contracts as a mapping gives them; None if it has none."""
    dataset = read_dataset(DataSettings(dataset=mapping))
    if "subscriptions" not in dataset.selects:
        return None
    opened = open_tables(EngineSettings(), dataset, scratch)
    with duckdb.connect() as connection:
        connection.register("mapped", cast_tables(opened.tables)["subscriptions"].rows.to_pyarrow())
        return _add_up(connection, "mapped", end)


def simulated_contracts(company: Path, end: datetime) -> Contracts:
    """The contracts of a simulated company."""
    files = quote_text(str(company / "subscriptions" / "*.parquet"))
    with duckdb.connect() as connection:
        return _add_up(connection, f"read_parquet({files})", end)


def _add_up(connection: duckdb.DuckDBPyConnection, table: str, end: datetime) -> Contracts:
    return Contracts(*connection.execute(QUERY.format(table=table, end=end)).fetchall()[0])
