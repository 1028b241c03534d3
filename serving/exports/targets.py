"""Where exports go: a Parquet or CSV file, or a table in Postgres; each is brought up to date as a whole."""

import json
import shutil
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq

from configs.errors import ConfigError
from configs.files import atomic_write

SHOWN_ROWS = 5
ROWS_PER_CHUNK = 10_000
# Only a table that says this of itself is written to: another's rows would be taken away as no longer exported.
TABLE_COMMENT = "written by oarlock export"
POSTGRES_TYPES = {"string": "text", "double": "double precision", "int64": "bigint", "date32[day]": "date"}


@dataclass(frozen=True)
class ExportDifference:
    """An export held against what is there: how many rows are new, changed, removed, the same, and a few of them."""

    new: int
    changed: int
    removed: int
    same: int
    shown: list[dict[str, Any]]


@dataclass(frozen=True)
class FileTarget:
    """A Parquet or CSV file."""

    path: Path

    @property
    def name(self) -> str:
        return str(self.path.resolve())

    def existing(self, scratch: Path, schema: pa.Schema) -> Path | None:
        """What is there, as Parquet; None where nothing is."""
        del schema
        if not self.path.exists():
            return None
        if self.path.suffix == ".parquet":
            return self.path
        _duck(f"copy (from read_csv({_text(self.path)}, all_varchar = true)) to {_text(scratch)}")
        return scratch

    def write(self, export: Path, key: str) -> None:
        """Put the export in the place of what is there."""
        del key
        with atomic_write(self.path) as temporary:
            if self.path.suffix == ".parquet":
                shutil.copyfile(export, temporary)
            else:
                _duck(f"copy (from read_parquet({_text(export)})) to {_text(temporary)} (format csv, header)")

    def remove(self, account_id: str, key: str) -> int:
        """Take an account out; says how many rows that were."""
        if not self.path.exists():
            return 0
        kind, reader = ("parquet", "read_parquet({})")
        if self.path.suffix == ".csv":
            kind, reader = ("csv, header", "read_csv({}, all_varchar = true)")
        rows, chosen = reader.format(_text(self.path)), f"{_name(key)} = {_text(account_id)}"
        found = _duck(f"select count(*) from {rows} where {chosen}")[0][0]
        if found:
            with atomic_write(self.path) as temporary:
                kept = f"from {rows} where {_name(key)} is distinct from {_text(account_id)}"
                _duck(f"copy ({kept}) to {_text(temporary)} (format {kind})")
        return found


@dataclass(frozen=True)
class TableTarget:
    """A table in Postgres, `postgresql://user@host/database/table`, brought up to date in one transaction."""

    url: str
    table: str

    @property
    def name(self) -> str:
        """The target without its password."""
        parts = urlsplit(self.url)
        host = parts.netloc.rpartition("@")
        user = f"{host[0].split(':')[0]}@" if host[0] else ""
        return urlunsplit(parts._replace(netloc=f"{user}{host[2]}", path=f"{parts.path}/{self.table}"))

    def existing(self, scratch: Path, schema: pa.Schema) -> Path | None:
        """What is there, as Parquet; None where there is no such table."""
        with self._connect() as connection:
            if not self._is_there(connection):
                return None
            self._refuse_others(connection, schema)
            with pq.ParquetWriter(scratch, schema) as writer, connection.cursor(name="oarlock_export") as cursor:
                cursor.execute(f"select {', '.join(map(_name, schema.names))} from {_dotted(self.table)}")
                while rows := cursor.fetchmany(ROWS_PER_CHUNK):
                    columns = [list(column) for column in zip(*rows, strict=True)]
                    writer.write_table(pa.table(columns, schema=schema))
        return scratch

    def write(self, export: Path, key: str) -> None:
        """Add, change and take away rows until the table holds just the export."""
        schema, names = pq.read_schema(export), [_name(one) for one in pq.read_schema(export).names]
        columns = ", ".join(names)
        changed = ", ".join(f"{one} = excluded.{one}" for one in names)
        with self._connect() as connection:
            self._create(connection, schema, key)
            connection.execute(f"create temp table export (like {_dotted(self.table)}) on commit drop")
            with connection.cursor().copy(f"copy export ({columns}) from stdin") as stream:
                for row in _rows(export):
                    stream.write_row(row)
            connection.execute(
                f"insert into {_dotted(self.table)} ({columns}) select {columns} from export"
                f" on conflict ({_name(key)}) do update set {changed}"
            )
            connection.execute(
                f"delete from {_dotted(self.table)} there where not exists"
                f" (select from export where export.{_name(key)} = there.{_name(key)})"
            )

    def remove(self, account_id: str, key: str) -> int:
        """Take an account out; says how many rows that were."""
        with self._connect() as connection:
            if not self._is_there(connection):
                return 0
            gone = f"delete from {_dotted(self.table)} where {_name(key)} = %s"
            return connection.execute(gone, [account_id]).rowcount

    def _connect(self) -> Any:
        import psycopg

        try:
            return psycopg.connect(self.url, connect_timeout=10)
        except psycopg.Error as problem:
            message = f"{self.name} cannot be reached: {type(problem).__name__}."
            raise ConfigError(message, "Is the URL right?") from None

    def _is_there(self, connection: Any) -> bool:
        return connection.execute("select to_regclass(%s)", [_dotted(self.table)]).fetchone()[0] is not None

    def _create(self, connection: Any, schema: pa.Schema, key: str) -> None:
        if self._is_there(connection):
            self._refuse_others(connection, schema)
            return
        columns = ", ".join(f"{_name(one.name)} {POSTGRES_TYPES.get(str(one.type), 'timestamp')}" for one in schema)
        connection.execute(f"create table {_dotted(self.table)} ({columns}, primary key ({_name(key)}))")
        connection.execute(f"comment on table {_dotted(self.table)} is '{TABLE_COMMENT}'")

    def _refuse_others(self, connection: Any, schema: pa.Schema) -> None:
        said = connection.execute("select obj_description(to_regclass(%s)::oid)", [_dotted(self.table)]).fetchone()[0]
        if said != TABLE_COMMENT:
            raise ConfigError(f"{self.name} was not made by Oarlock.", "Name a table that does not exist yet.")
        there = connection.execute(f"select * from {_dotted(self.table)} limit 0").description
        if [one.name for one in there] != schema.names:
            raise ConfigError(f"{self.name} has other columns than this export.", "Name another table, or drop it.")


Target = FileTarget | TableTarget


def parse_target(said: str) -> Target:
    """The target that was said. Raises ConfigError where it is none."""
    if said.startswith(("postgresql://", "postgres://")):
        parts = urlsplit(said)
        database, _, table = parts.path.strip("/").rpartition("/")
        if not (database and table):
            raise ConfigError("The export names no table.", "Write postgresql://user@host/database/table.")
        return TableTarget(urlunsplit(parts._replace(path=f"/{database}")), table)
    path = Path(said)
    if path.suffix not in (".parquet", ".csv"):
        raise ConfigError(f"'{said}' is neither a .parquet nor a .csv file nor a postgresql:// URL.", "Name one.")
    return FileTarget(path)


def compare_export(there: Path | None, export: Path, key: str) -> ExportDifference:
    """Hold an export against what is there, both Parquet; values are compared as they are written."""
    if there is None:
        return ExportDifference(pq.read_metadata(export).num_rows, 0, 0, 0, [])
    names, old = pq.read_schema(export).names, set(pq.read_schema(there).names)
    pairs = [(_as_text("new", one), _as_text("old", one) if one in old else "null") for one in names]
    differs = " or ".join(f"{mine} is distinct from {theirs}" for mine, theirs in pairs)
    fate = f"case when old.k is null then 'new' when new.k is null then 'removed' when {differs} then 'changed'"
    what = ", ".join(
        f"case when {mine} is distinct from {theirs} then {_text(name)} || ': ' || coalesce({theirs}, '-')"
        f" || ' -> ' || coalesce({mine}, '-') end"
        for name, (mine, theirs) in zip(names, pairs, strict=True)
    )
    keyed = f"(select *, {_name(key)} as k from read_parquet({{}})) {{}}"
    sides = keyed.format(_text(export), "new"), keyed.format(_text(there), "old")
    both = f"select coalesce(new.k, old.k) as k, {fate} else 'same' end as fate, concat_ws(', ', {what}) as what"
    both += f" from {sides[0]} full join {sides[1]} on new.k = old.k"
    counts = dict(_duck(f"select fate, count(*) from ({both}) group by fate"))
    rows = _duck(f"select fate, k, what from ({both}) where fate <> 'same' order by fate, k limit {SHOWN_ROWS * 3}")
    shown = [{"account_id": k, "is": fate, "what": what if fate == "changed" else ""} for fate, k, what in rows]
    new, changed, removed, same = (counts.get(one, 0) for one in ("new", "changed", "removed", "same"))
    return ExportDifference(new, changed, removed, same, shown)


def _rows(export: Path) -> Iterator[tuple[Any, ...]]:
    for batch in pq.ParquetFile(export).iter_batches(ROWS_PER_CHUNK):
        yield from zip(*(column.to_pylist() for column in batch.columns), strict=True)


def _as_text(side: str, name: str) -> str:
    # A CSV has no types, and nothing is an empty field there.
    return f"nullif({side}.{_name(name)}::varchar, '')"


def _duck(query: str) -> list[tuple[Any, ...]]:
    with closing(duckdb.connect()) as connection:
        return connection.execute(query).fetchall()


def _name(name: str) -> str:
    return json.dumps(name).replace('\\"', '""')


def _dotted(table: str) -> str:
    return ".".join(_name(part) for part in table.split("."))


def _text(value: object) -> str:
    return "'" + str(value).replace("'", "''") + "'"
