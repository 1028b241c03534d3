"""Export targets: a Parquet file, a CSV file or a Postgres table. Each is replaced as a whole."""

import hashlib
import json
import os
import shutil
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit, urlunsplit

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq

from configs.errors import ConfigError
from configs.files import atomic_write

MAX_EXAMPLES = 5
# How a formula begins (OWASP, "CSV Injection"), with the apostrophes that may be before it already.
FORMULA = r"''*[=+\-@\t\r]"
CONNECT_SECONDS = 10
Connection = Any  # psycopg's types allow literal SQL only
CSV_READER = "read_csv({}, all_varchar = true)"
ROWS_PER_CHUNK = 10_000
# A table is written to only if it has this comment: rows that are not in the export are deleted.
TABLE_COMMENT = "written by oarlock export"
POSTGRES_TYPES = {"string": "text", "double": "double precision", "int64": "bigint", "date32[day]": "date"}
RFC_3339 = "%Y-%m-%dT%H:%M:%SZ"


@dataclass(frozen=True)
class ExportExample:
    """An account whose exported row differs from the target: `status` is new, changed or removed."""

    account_id: str
    status: str
    change: str


@dataclass(frozen=True)
class ExportDifference:
    """An export compared with its target: how many rows are new, changed, removed and the same, with examples."""

    new: int
    changed: int
    removed: int
    same: int
    examples: list[ExportExample]


@dataclass(frozen=True)
class FileTarget:
    """A Parquet or CSV file."""

    path: Path
    is_table = False

    @property
    def name(self) -> str:
        return str(self.path.resolve())

    def require_writable(self, schema: pa.Schema) -> None:
        """Raise ConfigError if the file cannot be written."""
        del schema
        folder = self.path.resolve().parent
        if not os.access(folder, os.W_OK):
            raise ConfigError(f"{folder} is not a folder that can be written to.", "Name another file.")

    def mark(self) -> str | None:
        """The hash of the file; None if there is no file."""
        if not self.path.exists():
            return None
        with self.path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()

    def is_ours(self, mark: str, remembered: str | None) -> bool:
        """Whether the file is as Oarlock wrote it last."""
        return mark == remembered

    def existing(self, scratch: Path, schema: pa.Schema) -> Path | None:
        """The rows of the file, as Parquet; None if there is no file."""
        del schema
        if not self.path.exists():
            return None
        if self.path.suffix == ".parquet":
            return self.path
        rows, columns = CSV_READER.format(_quote_text(self.path)), _unmark("columns(*)")
        _run_duckdb(f"copy (select {columns} from {rows}) to {_quote_text(scratch)}")
        return scratch

    def write(self, export: Path, key: str) -> None:
        """Replace the file with the export."""
        del key
        with atomic_write(self.path) as temporary:
            if self.path.suffix == ".parquet":
                shutil.copyfile(export, temporary)
            else:
                _write_csv(f"from read_parquet({_quote_text(export)})", pq.read_schema(export), temporary)

    def remove(self, account_id: str, key: str) -> int:
        """Remove an account; returns the number of rows removed."""
        if not self.path.exists():
            return 0
        kind, reader, name = "parquet", "read_parquet({})", _quote_name(key)
        if self.path.suffix == ".csv":
            kind, reader, name = "csv, header", CSV_READER, _unmark(name)
        rows, value = reader.format(_quote_text(self.path)), _quote_text(account_id)
        row_count = _run_duckdb(f"select count(*) from {rows} where {name} = {value}")[0][0]
        if row_count:
            with atomic_write(self.path) as temporary:
                others = f"from {rows} where {name} is distinct from {value}"
                _run_duckdb(f"copy ({others}) to {_quote_text(temporary)} (format {kind})")
        return row_count


@dataclass(frozen=True)
class TableTarget:
    """A table in Postgres, `postgresql://user@host/database/table`, replaced in one transaction."""

    url: str
    table: str
    is_table = True

    @property
    def name(self) -> str:
        """The target without its password."""
        parts = urlsplit(self.url)
        host = parts.netloc.rpartition("@")
        user = f"{host[0].split(':')[0]}@" if host[0] else ""
        query = "&".join(field for field in parts.query.split("&") if not _is_password(field))
        return urlunsplit(parts._replace(netloc=f"{user}{host[2]}", path=f"{parts.path}/{self.table}", query=query))

    @property
    def has_password(self) -> bool:
        """Whether the URL holds a password."""
        parts = urlsplit(self.url)
        return bool(parts.password) or any(_is_password(field) for field in parts.query.split("&"))

    def require_writable(self, schema: pa.Schema) -> None:
        """Raise ConfigError if the table cannot be reached, was not created by Oarlock, or has other columns."""
        with self._connect() as connection:
            if self._table_exists(connection):
                self._refuse_foreign_table(connection, schema)

    def mark(self) -> str | None:
        """The comment of the table, empty without one; None if there is no table."""
        with self._connect() as connection:
            return self._comment(connection) or "" if self._table_exists(connection) else None

    def is_ours(self, mark: str, remembered: str | None) -> bool:
        """Whether Oarlock created the table."""
        del remembered
        return mark == TABLE_COMMENT

    def existing(self, scratch: Path, schema: pa.Schema) -> Path | None:
        """The rows of the table, as Parquet; None if there is no such table."""
        with self._connect() as connection:
            if not self._table_exists(connection):
                return None
            self._refuse_foreign_table(connection, schema)
            with pq.ParquetWriter(scratch, schema) as writer, connection.cursor(name="oarlock_export") as cursor:
                cursor.execute(f"select {', '.join(map(_quote_name, schema.names))} from {_quote_table(self.table)}")
                while rows := cursor.fetchmany(ROWS_PER_CHUNK):
                    columns = [list(column) for column in zip(*rows, strict=True)]
                    writer.write_table(pa.table(columns, schema=schema))
        return scratch

    def write(self, export: Path, key: str) -> None:
        """Insert, update and delete rows until the table holds exactly the export."""
        schema, names = pq.read_schema(export), [_quote_name(column) for column in pq.read_schema(export).names]
        columns = ", ".join(names)
        changed = ", ".join(f"{column} = excluded.{column}" for column in names)
        with self._connect() as connection:
            self._create(connection, schema, key)
            connection.execute(f"create temp table export (like {_quote_table(self.table)}) on commit drop")
            with connection.cursor().copy(f"copy export ({columns}) from stdin") as stream:
                for row in _rows(export):
                    stream.write_row(row)
            connection.execute(
                f"insert into {_quote_table(self.table)} ({columns}) select {columns} from export"
                f" on conflict ({_quote_name(key)}) do update set {changed}"
            )
            connection.execute(
                f"delete from {_quote_table(self.table)} target where not exists"
                f" (select from export where export.{_quote_name(key)} = target.{_quote_name(key)})"
            )

    def remove(self, account_id: str, key: str) -> int:
        """Remove an account from a table that Oarlock created; returns the number of rows removed."""
        with self._connect() as connection:
            if not self._table_exists(connection) or self._comment(connection) != TABLE_COMMENT:
                return 0
            statement = f"delete from {_quote_table(self.table)} where {_quote_name(key)} = %s"
            return connection.execute(statement, [account_id]).rowcount

    @contextmanager
    def _connect(self) -> Iterator[Connection]:
        """A transaction. Raises ConfigError if the database cannot be reached or refuses a statement."""
        import psycopg

        try:
            with psycopg.connect(self.url, connect_timeout=CONNECT_SECONDS) as connection:
                # A table of an older export keeps its instants in UTC without a zone.
                connection.execute("set time zone 'UTC'")
                yield connection
        except psycopg.OperationalError as error:
            message = f"{self.name} cannot be reached: {type(error).__name__}."
            raise ConfigError(message, "Check the URL, and that the database is up.") from None
        except psycopg.Error as error:
            lines = str(error).splitlines() or [type(error).__name__]
            raise ConfigError(f"{self.name} refuses this: {lines[0].rstrip('.')}.", "Check the rights there.") from None

    def _table_exists(self, connection: Connection) -> bool:
        return connection.execute("select to_regclass(%s)", [_quote_table(self.table)]).fetchone()[0] is not None

    def _comment(self, connection: Connection) -> str | None:
        query = "select obj_description(to_regclass(%s)::oid, 'pg_class')"
        return connection.execute(query, [_quote_table(self.table)]).fetchone()[0]

    def _create(self, connection: Connection, schema: pa.Schema, key: str) -> None:
        if self._table_exists(connection):
            self._refuse_foreign_table(connection, schema)
            return
        columns = ", ".join(
            f"{_quote_name(field.name)} {POSTGRES_TYPES.get(str(field.type), 'timestamptz')}" for field in schema
        )
        connection.execute(f"create table {_quote_table(self.table)} ({columns}, primary key ({_quote_name(key)}))")
        connection.execute(f"comment on table {_quote_table(self.table)} is '{TABLE_COMMENT}'")

    def _refuse_foreign_table(self, connection: Connection, schema: pa.Schema) -> None:
        if self._comment(connection) != TABLE_COMMENT:
            raise ConfigError(f"{self.name} was not created by Oarlock.", "Name a table that does not exist yet.")
        description = connection.execute(f"select * from {_quote_table(self.table)} limit 0").description
        if [column.name for column in description] != schema.names:
            raise ConfigError(f"{self.name} has other columns than this export.", "Name another table, or drop it.")


Target = FileTarget | TableTarget


def _is_password(field: str) -> bool:
    """Whether a field of a URL's query is a password, such as `password` and `sslpassword`."""
    return unquote(field.partition("=")[0]).lower().endswith("password")


def parse_target(text: str) -> Target:
    """The target that a command names. Raises ConfigError if it is not a target."""
    if text.startswith(("postgresql://", "postgres://")):
        parts = urlsplit(text)
        database, _, table = parts.path.strip("/").rpartition("/")
        if not (database and table):
            raise ConfigError("The export names no table.", "Write postgresql://user@host/database/table.")
        return TableTarget(urlunsplit(parts._replace(path=f"/{database}")), table)
    path = Path(text)
    if path.suffix not in (".parquet", ".csv"):
        shown = text.rpartition("@")[2] if "://" in text else text  # another URL may hold a password
        raise ConfigError(f"'{shown}' is neither a .parquet nor a .csv file nor a postgresql:// URL.", "Name one.")
    return FileTarget(path)


def compare_export(existing: Path | None, export: Path, key: str) -> ExportDifference:
    """Compare an export with the rows of its target, both Parquet; values are compared as text."""
    schema = pq.read_schema(export)
    old_schema = pq.read_schema(existing) if existing else pa.schema([])
    names, old = schema.names, {field.name: _as_text("old", field) for field in old_schema}
    pairs = [(_as_text("new", field), old.get(field.name, "null")) for field in schema]
    differs = " or ".join(f"{new_value} is distinct from {old_value}" for new_value, old_value in pairs)
    status = f"case when old.k is null then 'new' when new.k is null then 'removed' when {differs} then 'changed'"
    changes = ", ".join(
        f"case when {new_value} is distinct from {old_value}"
        f" then {_quote_text(name)} || ': ' || coalesce({old_value}, '-') || ' -> ' || coalesce({new_value}, '-') end"
        for name, (new_value, old_value) in zip(names, pairs, strict=True)
    )
    contents = ", ".join(f"{_quote_text(name)} || ': ' || {new}" for name, (new, _) in zip(names, pairs, strict=True))
    keyed = f"(select *, {_quote_name(key)} as k from read_parquet({{}}){{}}) {{}}"
    sides = keyed.format(_quote_text(export), "", "new"), keyed.format(*_rows_before(existing, export), "old")
    compared = (
        f"select coalesce(new.k, old.k) as k, {status} else 'same' end as status,"
        f" concat_ws(', ', {changes}) as changes, concat_ws(', ', {contents}) as contents"
        f" from {sides[0]} full join {sides[1]} on new.k = old.k"
    )
    counts = dict(_run_duckdb(f"select status, count(*) from ({compared}) group by status"))
    rows = _run_duckdb(
        f"select k, status, if(status = 'changed', changes, contents) from ({compared}) where status <> 'same'"
        f" qualify row_number() over (partition by status order by k) <= {MAX_EXAMPLES} order by status, k"
    )
    examples = [ExportExample(*row) for row in rows]
    new, changed, removed, same = (counts.get(name, 0) for name in ("new", "changed", "removed", "same"))
    return ExportDifference(new, changed, removed, same, examples)


def _rows(export: Path) -> Iterator[tuple[object, ...]]:
    for batch in pq.ParquetFile(export).iter_batches(ROWS_PER_CHUNK):
        yield from zip(*(column.to_pylist() for column in batch.columns), strict=True)


def _rows_before(existing: Path | None, export: Path) -> tuple[str, str]:
    """The file of the rows before an export, and a condition: without such a file, none of the export."""
    return (_quote_text(existing), "") if existing else (_quote_text(export), " where false")


def _as_text(side: str, field: pa.Field) -> str:
    # A CSV has no types, and nothing is an empty field there.
    value = f"{side}.{_quote_name(field.name)}"
    return f"nullif({_format_instant(value) if _is_instant(field) else f'{value}::varchar'}, '')"


def _is_instant(field: pa.Field) -> bool:
    return pa.types.is_timestamp(field.type) and field.type.tz is not None


def _format_instant(value: str) -> str:
    return f"strftime({value} at time zone 'UTC', {_quote_text(RFC_3339)})"


def _write_csv(rows: str, schema: pa.Schema, path: Path) -> None:
    """Write the rows of a query as CSV. A text that a spreadsheet takes for a formula gets an apostrophe before it."""
    texts = [_quote_name(column.name) for column in schema if pa.types.is_string(column.type)]
    marked = [f"regexp_replace({name}, '^({FORMULA})', '''\\1') as {name}" for name in texts]
    instants = [_quote_name(column.name) for column in schema if _is_instant(column)]
    written = [*marked, *(f"{_format_instant(name)} as {name}" for name in instants)]
    columns = f"select * replace ({', '.join(written)}) {rows}" if written else rows
    _run_duckdb(f"copy ({columns}) to {_quote_text(path)} (format csv, header)")


def _unmark(column: str) -> str:
    """A column of CSV without the apostrophes that `_write_csv` put before formulas."""
    return f"regexp_replace({column}, '^''({FORMULA})', '\\1')"


def _run_duckdb(query: str) -> list[tuple[Any, ...]]:
    with closing(duckdb.connect()) as connection:
        return connection.execute(query).fetchall()


def _quote_name(name: str) -> str:
    return json.dumps(name).replace('\\"', '""')


def _quote_table(table: str) -> str:
    return ".".join(_quote_name(part) for part in table.split("."))


def _quote_text(value: object) -> str:
    return "'" + str(value).replace("'", "''") + "'"
