import duckdb
from ibis.backends.sql import SQLBackend

class Backend(SQLBackend):
    con: duckdb.DuckDBPyConnection
