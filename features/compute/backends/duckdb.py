"""DuckDB as a backend: connections, views over files, and queries that are prepared once for all days."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import cache, partial
from pathlib import Path
from typing import TYPE_CHECKING

import ibis
import ibis.expr.types as ir
import pyarrow as pa
from sqlglot import expressions as sge

from configs.sections.publishing import EngineSettings
from features.compute.backends.base import MAPPING_DIALECT, Backend, CompiledRows, RowsAt
from features.compute.backends.parquet_files import ParquetGroup, escape_pattern, group_for_union
from features.compute.backends.spill_folder import make_spill_folder

if TYPE_CHECKING:
    from ibis.backends.duckdb import Backend as DuckDBBackend

PARAMETER = "as_of"
# The last one keeps queries from changing the others.
CONFINEMENT = {"enable_external_access": "false", "python_enable_replacements": "false", "lock_configuration": "true"}
DUCKDB_TYPES = {
    pa.float64(): "double",
    pa.timestamp("us"): "timestamp",
    pa.timestamp("us", tz="UTC"): "timestamptz",
    **{getattr(pa, name)(): name for name in ("int16", "int32", "int64", "uint16", "uint32", "uint64")},
}


def open_duckdb(
    settings: EngineSettings, spill: Path | None = None, *, files: Iterable[Path] = (), folders: Iterable[Path] = ()
) -> Backend:
    """An empty DuckDB database in memory, with a folder of its own inside `spill` for what does not fit.

    Without `spill` that folder is among the system's temporary ones. It opens these files and what is in these folders;
    no query can open another one, load an extension, or change this.
    """
    options = {"threads": settings.threads, "memory_limit": settings.memory_limit}
    options = {name: value for name, value in options.items() if value is not None}
    connection = ibis.duckdb.connect(**options)
    connection.raw_sql(f"set temp_directory = {quote_text(str(make_spill_folder(spill, connection)))}")
    connection.raw_sql("set timezone = 'UTC'")
    _confine(connection, files, folders)
    return Backend(
        connection,
        duckdb_errors(),
        partial(_create_view, connection),
        partial(_compile_for_instants, connection),
        partial(_create_table, connection),
        partial(_compile_query, connection),
    )


def duckdb_errors() -> tuple[type[Exception], ...]:
    """What DuckDB raises for SQL or files that it rejects, and if it cannot be opened."""
    import duckdb

    return (duckdb.Error,)


def quote_name(name: str) -> str:
    """The name of a table or column in SQL."""
    return sge.to_identifier(name, quoted=True).sql(dialect=MAPPING_DIALECT)


def quote_text(text: str) -> str:
    """A text in SQL."""
    return sge.Literal.string(text).sql(dialect=MAPPING_DIALECT)


def _confine(connection: "DuckDBBackend", files: Iterable[Path], folders: Iterable[Path]) -> None:
    """Let the connection open these files and folders only, for as long as it is open."""
    for setting, paths in {"allowed_paths": files, "allowed_directories": folders}.items():
        # The engine compares the path as it is in the query, where it can be a pattern.
        spellings = {spelling for path in map(str, paths) for spelling in (path, escape_pattern(path))}
        connection.raw_sql(f"set {setting} = [{', '.join(map(quote_text, sorted(spellings)))}]")
    for setting, value in CONFINEMENT.items():
        connection.raw_sql(f"set {setting} = {value}")


def _create_view(connection: "DuckDBBackend", source: str, paths: list[str]) -> None:
    groups = " union all by name ".join(_select_group(group) for group in group_for_union(paths))
    connection.raw_sql(f"create or replace temp view {quote_name(source)} as {groups}")


def _select_group(group: ParquetGroup) -> str:
    """The rows of files of one schema, in the types of the whole source."""
    paths = ", ".join(quote_text(escape_pattern(path)) for path in group.paths)
    empty = f"exclude ({', '.join(map(quote_name, sorted(group.empty)))})" if group.empty else ""
    casts = [f"{quote_name(name)}::{DUCKDB_TYPES[kind]} as {quote_name(name)}" for name, kind in group.casts.items()]
    replaced = f"replace ({', '.join(casts)})" if casts else ""
    return f"select * {empty} {replaced} from read_parquet([{paths}])"


def _create_table(connection: "DuckDBBackend", name: str, rows: ir.Table | pa.Table) -> ir.Table:
    if isinstance(rows, pa.Table):
        connection.con.register(name, rows)
    else:
        connection.raw_sql(f"create or replace temp table {name} as {connection.compile(rows)}")
    return connection.table(name)


def _compile_for_instants(connection: "DuckDBBackend", rows_at: RowsAt) -> CompiledRows:
    """The query with the instant as a parameter of a prepared statement; it is translated to SQL only once."""
    rows_for = _compile_query(connection, [PARAMETER], lambda instant: rows_at(instant.cast("timestamp")))
    return lambda as_of: rows_for({PARAMETER: as_of.isoformat(" ")})


def _compile_query(
    connection: "DuckDBBackend", names: Sequence[str], build: Callable[..., ir.Table]
) -> Callable[[Mapping[str, str]], pa.Table]:
    """The query with texts of these names as parameters of a prepared statement; translated to SQL only once."""
    markers = {name: f"\x01{name}" for name in names}

    @cache
    def query() -> str:
        parameters = {name: ibis.param("string") for name in names}
        expression = build(*parameters.values())
        values: dict[ir.Value, object] = {parameter: markers[name] for name, parameter in parameters.items()}
        tree = connection.compiler.to_sqlglot(expression, params=values)
        return tree.transform(_to_placeholder).sql(dialect=MAPPING_DIALECT)

    return lambda values: connection.con.execute(query(), dict(values)).to_arrow_table()


def _to_placeholder(node: sge.Expr) -> sge.Expr:
    # ibis puts a parameter's value into the query as a literal, and has no placeholders.
    is_parameter = isinstance(node, sge.Literal) and node.is_string and node.this.startswith("\x01")
    return sge.Placeholder(this=node.this[1:]) if is_parameter else node
