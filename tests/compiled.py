"""What several tests share: the catalogue, compiled once for DuckDB, over tables that are filled anew."""

from collections.abc import Callable
from datetime import datetime

import duckdb
import ibis
import pyarrow as pa
import pytest

from features.catalogue import catalogue
from features.compute import compute
from features.reading import IBIS_TYPES, RawTable, clean
from features.signals.declaration import Signal
from features.tables import CONTRACT
from tests.companies import AS_OF, Company

ARROW_TYPES = {"text": pa.string(), "number": pa.float64(), "instant": pa.timestamp("us"), "flag": pa.bool_()}

Values = dict[str, dict[str, float | str | None]]


class Engine:
    """Signals compiled to SQL once; calling it with a company gives each account's values by signal."""

    def __init__(self, signals: tuple[Signal, ...], as_of: datetime) -> None:
        self.connection = duckdb.connect()
        self.query = ibis.to_sql(compute(schema(), signals, as_of), dialect="duckdb")
        for name in CONTRACT:
            self.connection.register("rows", arrow({}, name))
            self.connection.execute(f"create table {name} as from rows")

    def __call__(self, company: Company) -> Values:
        for name in CONTRACT:
            self.connection.register("rows", arrow(company, name))
            self.connection.execute(f"truncate {name}; insert into {name} from rows")
        rows = self.connection.sql(self.query).to_arrow_table().to_pylist()
        return {row.pop("account_id"): row for row in rows}


def schema() -> dict[str, RawTable]:
    """Every table of the contract, with every column, and no rows of its own."""
    unbound = {
        name: ibis.table({c: IBIS_TYPES[column.type] for c, column in table.columns.items()}, name=name)
        for name, table in CONTRACT.items()
    }
    return clean({name: RawTable(CONTRACT[name], rows, frozenset(rows.columns)) for name, rows in unbound.items()})


def arrow(company: Company, name: str) -> pa.Table:
    """One table of a company, in the contract's columns and types."""
    fields = [pa.field(column, ARROW_TYPES[what.type]) for column, what in CONTRACT[name].columns.items()]
    return pa.Table.from_pylist(company.get(name, []), schema=pa.schema(fields))


@pytest.fixture(scope="session")
def engine() -> Callable[[Company], Values]:
    """Every signal, as of `AS_OF`."""
    return Engine(catalogue(), AS_OF)
