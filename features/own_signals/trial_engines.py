"""The engines that signals are tried on: DuckDB in memory, or Spark on this machine."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from itertools import count
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Literal

import ibis
import pyarrow as pa
import pyarrow.parquet as pq
from ibis.common.exceptions import IbisError

from configs.sections.publishing import EngineSettings
from features.compute.backends.base import Backend, describe
from features.compute.backends.duckdb import open_duckdb
from features.compute.backends.spark import open_spark
from features.compute.compute import compute_signals
from features.ingestion.reader import cast_tables
from features.own_signals.generated_tables import AS_OF, Company, Row, Value
from features.signals.base import Signal
from features.tables.contract import ACCOUNT_ID, TableContract
from features.tables.raw_table import IBIS_TYPES, RawTable

EngineKind = Literal["duckdb", "spark"]
Contract = Mapping[str, TableContract]
Values = dict[str, dict[str, Value]]
Compute = Callable[[Company, datetime], Values]
# The generated tables have some hundred rows: more partitions only cost time.
LOCAL_SPARK = EngineSettings(kind="spark", master="local[2]", options={"spark.sql.shuffle.partitions": "1"})


@dataclass(frozen=True)
class TrialEngine:
    """An open engine, and how it gets the rows of a generated table."""

    backend: Backend
    store: Callable[[str, pa.Table], None]

    def compile(self, contract: Contract, signals: tuple[Signal, ...]) -> Compute:
        """A function of a company and a day that returns the signals of each account."""
        self._load(contract, {name: [] for name in contract})
        connection = self.backend.connection
        raw = {name: connection.table(_view(name)) for name in contract}
        tables = {name: RawTable(contract[name], rows, frozenset(rows.columns)) for name, rows in raw.items()}
        cast = cast_tables(tables)
        rows_on = self.backend.compile_for_instants(lambda as_of: compute_signals(cast, signals, as_of))

        def compute(company: Company, as_of: datetime) -> Values:
            self._load(contract, company)
            return {row.pop(ACCOUNT_ID): row for row in rows_on(as_of).to_pylist()}

        return compute

    def explain_refusal(self, contract: Contract, signals: tuple[Signal, ...]) -> str | None:
        """Why the engine cannot compute these signals; None if it can."""
        try:
            self.compile(contract, signals)({name: [] for name in contract}, AS_OF)
        except (*self.backend.error_types, IbisError) as error:
            return describe(error)
        return None

    def _load(self, contract: Contract, company: Mapping[str, list[Row]]) -> None:
        for name, table in contract.items():
            types = {column: IBIS_TYPES[declared.type] for column, declared in table.columns.items()}
            self.store(_view(name), pa.Table.from_pylist(company[name], schema=ibis.schema(types).to_pyarrow()))


@contextmanager
def open_trial_engine(kind: EngineKind) -> Iterator[TrialEngine]:
    """An engine of its own for trials. Raises ConfigError if it is not installed."""
    if kind == "duckdb":
        backend = open_duckdb(EngineSettings(threads=1))
        create_table = backend.create_table
        assert create_table, "DuckDB holds tables"
        yield TrialEngine(backend, lambda name, rows: _discard(create_table(name, rows)))
        return
    backend, numbers = open_spark(LOCAL_SPARK), count()
    with TemporaryDirectory() as folder:

        def store(name: str, rows: pa.Table) -> None:
            file = Path(folder) / f"{name}-{next(numbers)}.parquet"  # Spark remembers what it has read of a file
            pq.write_table(rows, file)
            backend.create_view(name, [str(file)])

        yield TrialEngine(backend, store)


def _discard(_: object) -> None:
    return None


def _view(table: str) -> str:
    return f"generated_{table}"
