"""The catalogue compiled to one prepared query, which runs over many small companies: compiling costs more."""

from collections.abc import Callable
from datetime import datetime
from functools import cache

import duckdb
import ibis
import pyarrow as pa

from features.compute.compute import compute_signals
from features.compute.fingerprints import contract_tables
from features.own_signals.generated_tables import AS_OF
from features.signals.base import Signal
from features.signals.registry import catalogue
from features.tables.contract import CONTRACT
from features.tables.raw_table import IBIS_TYPES
from tests.support.companies.random_companies import Company, random_company

Value = float | str | None
ValuesByAccount = dict[str, dict[str, Value]]


@cache
def compile_catalogue(
    signals: tuple[Signal, ...] | None = None, as_of: datetime = AS_OF
) -> Callable[[Company], ValuesByAccount]:
    """Compile signals to a function that takes a company and returns each account's values by signal."""
    connection = duckdb.connect(config={"threads": 1})
    query = ibis.to_sql(compute_signals(contract_tables(), signals or catalogue(), as_of), dialect="duckdb")
    for name in CONTRACT:
        connection.register("rows", _arrow(name, []))
        connection.execute(f"create table {name} as from rows")
    # The optimizer would plan for the tables as they are now, without rows, and find that there is nothing to do.
    connection.execute("pragma disable_optimizer")
    connection.execute(f"prepare signals as {query}")

    def compute(company: Company) -> ValuesByAccount:
        for name, rows in company.items():
            connection.register("rows", _arrow(name, rows))
            connection.execute(f"truncate {name}; insert into {name} from rows")
        results = connection.execute("execute signals").to_arrow_table().to_pylist()
        return {row.pop("account_id"): row for row in results}

    return compute


@cache
def values_of_company(seed: int, accounts: int = 10) -> ValuesByAccount:
    """All signals of a random company, computed once; no caller changes them."""
    return compile_catalogue()(random_company(seed, accounts))


def with_inputs(names: set[str]) -> tuple[Signal, ...]:
    """The named signals and all signals that they are computed from, in the catalogue's order."""
    selected = set(names)
    for signal in reversed(catalogue()):
        selected |= set(signal.inputs) if signal.name in selected else set()
    return tuple(signal for signal in catalogue() if signal.name in selected)


def _arrow(name: str, rows: list[dict]) -> pa.Table:
    types = {column: IBIS_TYPES[column_contract.type] for column, column_contract in CONTRACT[name].columns.items()}
    return pa.Table.from_pylist(rows, schema=ibis.schema(types).to_pyarrow())
