"""Raw tables made of a few rows each."""

from collections.abc import Mapping
from datetime import datetime

import ibis
import pyarrow as pa

from features.ingestion.reader import cast_tables
from features.tables.contract import CONTRACT, TableContract
from features.tables.raw_table import IBIS_TYPES, RawTable

Rows = list[dict]


def raw_tables(**tables: Rows) -> dict[str, RawTable]:
    """Tables of the contract from a few rows each, in memory; a column that no row has is absent."""
    return cast_tables(unchecked_tables(CONTRACT, tables))


def unchecked_tables(contract: Mapping[str, TableContract], tables: Mapping[str, Rows]) -> dict[str, RawTable]:
    """Tables of a contract from a few rows each, in memory, before any check or cast."""
    raw = {}
    for name, rows in tables.items():
        present = list(dict.fromkeys(column for row in rows for column in row)) or ["account_id"]
        columns = contract[name].columns
        schema = ibis.schema({column: IBIS_TYPES[columns[column].type] for column in present})
        arrow = pa.Table.from_pylist([{c: row.get(c) for c in present} for row in rows], schema=schema.to_pyarrow())
        raw[name] = RawTable(contract[name], ibis.memtable(arrow), frozenset(present))
    return raw


def subscription(account_id: str, started_at: datetime, ended_at: datetime | None = None, **columns: object) -> dict:
    """A row of `subscriptions` at 100 per month."""
    row = {"account_id": account_id, "subscription_id": f"{account_id}-{started_at:%Y%m%d}", "mrr": 100.0}
    return {**row, "started_at": started_at, "ended_at": ended_at, **columns}


def account(account_id: str, created_at: datetime = datetime(2023, 1, 1), **columns: object) -> dict:
    """A row of `accounts`."""
    return {"account_id": account_id, "created_at": created_at, **columns}
