"""The profile of each drafted table: rows, range of time, gaps, missing values and duplicates."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from features.compute.backends.duckdb import quote_name
from features.drafting.selects.decisions import Query
from features.tables.contract import EVERY_TABLE, TableContract

GAP_FACTOR, MIN_GAP_DAYS = 10, 7


@dataclass(frozen=True)
class TableProfile:
    """What a table holds: `missing` is the share of empty cells by column, `gap_days` the longest time without a row.

    `duplicates` are rows that repeat the key of another one or, without a key, all of its values.
    """

    table: str
    source: str
    rows: int
    accounts: int
    first: datetime | None
    last: datetime | None
    gap_days: int
    gap_from: datetime | None
    missing: Mapping[str, float]
    duplicates: int


def profile_table(table: str, source: str, query: Query) -> TableProfile:
    """The profile of `drafted_TABLE`."""
    contract, name = EVERY_TABLE[table], f"drafted_{table}"
    columns = [row[0] for row in query(f"describe {name}")]
    counts = ", ".join(f"count({quote_name(column)})" for column in columns)
    rows, accounts, *filled = query(f"select count(*), count(distinct account_id), {counts} from {name}")[0]
    first, last, gap, gap_from = _range(contract, columns, query)
    missing = {column: 1 - count / rows for column, count in zip(columns, filled, strict=True) if rows and count < rows}
    return TableProfile(
        table, source, rows, accounts, first, last, gap, gap_from, missing, _duplicates(contract, columns, query)
    )


def _range(
    contract: TableContract, columns: list[str], query: Query
) -> tuple[datetime | None, datetime | None, int, datetime | None]:
    """The first and last instant of a table, and its longest gap if that is unusual."""
    at = contract.at or "reached_at"
    if at not in columns:
        return None, None, 0, None
    instant = quote_name(at)
    first, last = query(f"select min({instant}), max({instant}) from drafted_{contract.name}")[0]
    gaps = query(
        f"""select days, day from (select date_diff('day', lag(day) over (order by day), day) as days,
        lag(day) over (order by day) as day from (select distinct date_trunc('day', {instant}) as day
        from drafted_{contract.name} where {instant} is not null)) where days is not null order by days desc, day"""
    )
    if not gaps:
        return first, last, 0, None
    usual = sorted(days for days, _ in gaps)[len(gaps) // 2]
    longest, since = gaps[0]
    is_unusual = longest >= max(MIN_GAP_DAYS, GAP_FACTOR * usual)
    return first, last, longest if is_unusual else 0, since if is_unusual else None


def _duplicates(contract: TableContract, columns: list[str], query: Query) -> int:
    key = [quote_name(name) for name in contract.key or columns if name in columns]
    counted = query(
        f"select coalesce(sum(n - 1), 0)::bigint from (select count(*) as n from drafted_{contract.name}"
        f" where {' and '.join(f'{name} is not null' for name in key) if contract.key else 'true'}"
        f" group by {', '.join(key)})"
    )
    return counted[0][0]
