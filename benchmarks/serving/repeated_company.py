"""A large company made of a small simulated one, several times over: each copy has ids of its own."""

from pathlib import Path

import duckdb

from features.tables.contract import CONTRACT


def repeat_company(source: Path, target: Path, times: int) -> None:
    """Write every table of a company so many times over; ids of the copies begin with their number."""
    with duckdb.connect() as connection:
        for table in CONTRACT:
            rows = f"from read_parquet('{source}/{table}/*.parquet')"
            names = [row[0] for row in connection.sql(f"describe select * {rows}").fetchall()]
            ids = ", ".join(f"copy || '-' || {name} as {name}" for name in names if name.endswith("_id"))
            (target / table).mkdir(parents=True)
            connection.sql(
                f"copy (select * exclude (copy) replace ({ids}) {rows}, range({times}) copies(copy))"
                f" to '{target}/{table}/part-0.parquet' (format parquet)"
            )
