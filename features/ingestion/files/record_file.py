"""Files that hold records and are no CSV: JSON lines, and tables of SQLite and DuckDB files. Each value becomes text.

A number stays as it is written, true and false are words, and what is nested is JSON.
"""

import csv
import json
import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import closing
from pathlib import Path
from typing import IO

from configs.errors import ConfigError, DataError
from features.ingestion.files.compression import open_bytes
from features.tables.mapping import SourceMapping, file_kind

Record = dict[str, str]
MAX_SHOWN = 60


def record_columns(path: Path, source: SourceMapping) -> tuple[str, ...]:
    """The columns of a file's records, in the order in which they first come. Raises DataError, ConfigError."""
    if file_kind(path) == "jsonl":
        return tuple(dict.fromkeys(name for record in _json_records(path, _open_lines(path)) for name in record))
    return tuple(next(_database_rows(path, source)))


def write_records(path: Path, source: SourceMapping, columns: tuple[str, ...], target: IO[str]) -> None:
    """Write a file's records as CSV with a header. Raises DataError for a record that cannot be read."""
    writer = csv.writer(target, lineterminator="\n")
    if file_kind(path) == "jsonl":
        writer.writerow(columns)
        records = _json_records(path, _open_lines(path))
        writer.writerows([record.get(name, "") for name in columns] for record in records)
    else:
        writer.writerows(_database_rows(path, source))


def list_tables(path: Path) -> list[str]:
    """The tables and views of an SQLite or DuckDB file."""
    if file_kind(path) == "sqlite":
        query = "select name from sqlite_master where type in ('table', 'view') and name not like 'sqlite_%' order by 1"
        with closing(_open_sqlite(path)) as database:
            return [name for (name,) in _execute_sqlite(path, database, query)]
    import duckdb

    with _open_duckdb_file(path) as connection:
        try:
            rows = connection.execute("select table_name from information_schema.tables order by 1").fetchall()
        except duckdb.Error as error:
            raise _unreadable(path, error) from None
        return [name for (name,) in rows]


def _json_records(path: Path, lines: Iterable[bytes]) -> Iterator[Record]:
    try:
        for number, line in enumerate(lines, 1):
            if line.strip():
                yield _json_record(path, number, line)
    except (OSError, EOFError) as error:
        raise _unreadable(path, error) from None


def _json_record(path: Path, number: int, line: bytes) -> Record:
    try:
        content = json.loads(line.decode("utf-8-sig"), parse_float=str, parse_int=str, parse_constant=str)
    except ValueError as error:
        shown = line.decode("utf-8", "replace").strip()[:MAX_SHOWN]
        raise DataError(
            f"{path}, line {number}: '{shown}' is no JSON ({error}).", "Write an object per line."
        ) from None
    if not isinstance(content, dict):
        raise DataError(f"{path}, line {number}: it is no JSON object.", "Write an object per line.")
    return {name: _text(value) for name, value in content.items()}


def _text(value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    return (
        value if isinstance(value, str) else json.dumps(value, ensure_ascii=False) if _is_nested(value) else str(value)
    )


def _is_nested(value: object) -> bool:
    return isinstance(value, dict | list)


def _open_lines(path: Path) -> Iterator[bytes]:
    with open_bytes(path) as stream:
        yield from stream


def _database_rows(path: Path, source: SourceMapping) -> Iterator[list[str]]:
    """The names of the columns of a table, then its rows."""
    table = _table_name(path, source)
    query = 'select * from "{}"'.format(table.replace('"', '""'))
    if file_kind(path) == "sqlite":
        with closing(_open_sqlite(path)) as database:
            cursor = _execute_sqlite(path, database, query)
            yield [name for name, *_ in cursor.description]
            yield from _sqlite_rows(path, cursor)
    else:
        yield from _duckdb_rows(path, query)


def _table_name(path: Path, source: SourceMapping) -> str:
    tables = list_tables(path)
    if source.table is None and len(tables) == 1:
        return tables[0]
    if source.table not in tables:
        lacking = f"has no table '{source.table}'" if source.table else "has several tables"
        raise ConfigError(f"{path} {lacking}.", f"Set `table` of the source to one of {', '.join(tables) or 'none'}.")
    return source.table


def _sqlite_rows(path: Path, cursor: sqlite3.Cursor) -> Iterator[list[str]]:
    try:  # a damaged page, or text that is not UTF-8, shows only when its row is read
        yield from (_sqlite_texts(path, row) for row in cursor)
    except sqlite3.Error as error:
        raise _unreadable(path, error) from None


def _sqlite_texts(path: Path, row: tuple[object, ...]) -> list[str]:
    if any(isinstance(value, bytes) for value in row):
        raise DataError(f"{path}: a value is binary, which no column of the contract is.", "Leave it out by a view.")
    return ["" if value is None else str(value) for value in row]


def _open_sqlite(path: Path) -> sqlite3.Connection:
    return sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro", uri=True)


def _execute_sqlite(path: Path, database: sqlite3.Connection, query: str) -> sqlite3.Cursor:
    try:
        return database.execute(query)
    except sqlite3.Error as error:
        raise _unreadable(path, error) from None


def _duckdb_rows(path: Path, query: str) -> Iterator[list[str]]:
    import duckdb

    with _open_duckdb_file(path) as connection:
        try:
            connection.execute("set timezone = 'UTC'")
            cursor = connection.execute(query.replace("select *", "select columns(*)::varchar", 1))
            yield [name for name, *_ in cursor.description or ()]
            while rows := cursor.fetchmany(10_000):
                yield from (["" if value is None else value for value in row] for row in rows)
        except duckdb.Error as error:
            raise _unreadable(path, error) from None


def _open_duckdb_file(path: Path):
    import duckdb

    try:
        return duckdb.connect(str(path), read_only=True, config={"enable_external_access": "false"})
    except duckdb.Error as error:
        raise _unreadable(path, error) from None


def _unreadable(path: Path, error: Exception) -> DataError:
    reason = str(error).partition("\n")[0].rstrip(".")
    return DataError(f"Cannot read {path}: {reason}.", "Is it complete, and what its name says?")
