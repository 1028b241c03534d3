"""How the shipped extract was cut out of the whole crm5 data: every fourth account, all of its rows.

python benchmarks/data/make_crm5_extract.py /path/to/crm5 configs/datasets/crm5
"""

import sys
from pathlib import Path

import duckdb

ACCOUNT_COLUMNS = {
    "account": "id",
    "active_users_daily": "account_id",
    "event_daily": "account_id",
    "subscription": "account_id",
}
ONE_IN = 4


def cut(source: Path, target: Path) -> None:
    """Write the extract of every table, sorted so that it packs well."""
    target.mkdir(parents=True, exist_ok=True)
    options = "(format parquet, compression zstd, compression_level 19, row_group_size 1000000)"
    for table, column in ACCOUNT_COLUMNS.items():
        rows = f"select * from '{source / table}.parquet' where {column} % {ONE_IN} = 0 order by all"
        duckdb.sql(f"copy ({rows}) to '{target / table}.parquet' {options}")
    duckdb.sql(f"copy (from '{source / 'event_type'}.parquet') to '{target / 'event_type'}.parquet' {options}")


if __name__ == "__main__":
    cut(Path(sys.argv[1]), Path(sys.argv[2]))
