"""The catalogue compiled and planned once, to be run over many small companies: that costs more than running it."""

from collections.abc import Callable
from datetime import datetime
from functools import cache

import duckdb
import ibis
import pyarrow as pa

from features.compute.compute import compute
from features.compute.fingerprints import contract_tables
from features.signals.base import Signal
from features.signals.registry import catalogue
from features.tables.contract import CONTRACT
from features.tables.raw_table import IBIS_TYPES
from tests.support.random_companies import AS_OF, Company

Value = float | str | None
Values = dict[str, dict[str, Value]]


@cache
def engine(signals: tuple[Signal, ...] | None = None, as_of: datetime = AS_OF) -> Callable[[Company], Values]:
    """A function from a company to each account's values by signal."""
    connection = duckdb.connect(config={"threads": 1})
    query = ibis.to_sql(compute(contract_tables(), signals or catalogue(), as_of), dialect="duckdb")
    for name in CONTRACT:
        connection.register("rows", _arrow(name, []))
        connection.execute(f"create table {name} as from rows")
    # The optimizer would plan for the tables as they are now, without rows, and find that there is nothing to do.
    connection.execute("pragma disable_optimizer")
    connection.execute(f"prepare signals as {query}")

    def values(company: Company) -> Values:
        for name, rows in company.items():
            connection.register("rows", _arrow(name, rows))
            connection.execute(f"truncate {name}; insert into {name} from rows")
        found = connection.execute("execute signals").to_arrow_table().to_pylist()
        return {row.pop("account_id"): row for row in found}

    return values


def with_inputs(names: set[str]) -> tuple[Signal, ...]:
    """The named signals and all those that they are made of, in the catalogue's order."""
    wanted = set(names)
    for one in reversed(catalogue()):
        wanted |= set(one.inputs) if one.name in wanted else set()
    return tuple(one for one in catalogue() if one.name in wanted)


def _arrow(name: str, rows: list[dict]) -> pa.Table:
    types = {column: IBIS_TYPES[what.type] for column, what in CONTRACT[name].columns.items()}
    return pa.Table.from_pylist(rows, schema=ibis.schema(types).to_pyarrow())
