from collections.abc import Sequence

import duckdb
from ibis.backends.sql import SQLBackend
from ibis.expr import types as ir

class Backend(SQLBackend):
    con: duckdb.DuckDBPyConnection
    def read_csv(self, paths: Sequence[str], *, table_name: str, sample_size: int) -> ir.Table: ...
    def read_parquet(self, paths: Sequence[str], *, table_name: str) -> ir.Table: ...
