"""Erases an account from every place that Oarlock keeps it in, with a certificate that counts what was removed.

The certificate names the account by the SHA-256 of its id. It is written after each place, so an erasure that was
killed continues where it was and its counts add up. The raw tables are not Oarlock's: remove the account there first,
or the next publish brings it back.
"""

import csv
import hashlib
import json
import re
import sqlite3
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing
from datetime import datetime
from pathlib import Path
from typing import NotRequired

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import sqlalchemy as sql
from typing_extensions import TypedDict

from configs.account_ids import canonical_account_id
from configs.errors import DamagedState
from configs.files import JsonObject, atomic_write, write_json
from configs.state_dir import StateDir
from configs.stored_files import damaged_if, read_stored
from features.ingestion.converted_folder import converted_files, remove_conversions
from features.online.online_store import erase_online
from features.store.events.event_table import remove_event_tables
from features.tables.contract import ACCOUNT_ID
from serving.exports.remembered_targets import UNFINISHED, TargetErasure, erase_from_targets
from serving.ledger.database import SECURE_DELETE
from serving.ledger.saved_views import erase_views_of
from serving.ledger.schema import IDEMPOTENT_RESPONSES, METADATA, SAVED_VIEWS
from serving.ledger.write_ahead_log import quarantined_files

JSON_TEXT = re.compile(r'"(?:[^"\\\x00-\x1f]|\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4}))*"')
Removal = tuple[str, Callable[[], int]]


class Certificate(TypedDict):
    """What was removed of an account, by place, and when."""

    account_sha256: str
    removed: dict[str, int]
    targets: dict[str, TargetErasure]
    began_at: str
    complete: bool
    completed_at: NotRequired[str]
    not_covered: list[str]


def erase_account(state: StateDir, engine: sql.Engine, account_id: str, at: datetime) -> Certificate:
    """Remove an account from every place; returns the certificate. It may be repeated at any time.

    It is complete unless an export target could not be reached, or was changed by others since.
    """
    file, certificate = _open_certificate(state, account_id, at)
    removed = certificate["removed"]
    for name, remove in _removals(state, engine, account_id):
        removed[name] = removed.get(name, 0) + remove()
        write_json(file, certificate)
    for target, erasure in erase_from_targets(engine, account_id, at):
        certificate["targets"][target] = erasure
        name = f"export {target}"
        removed[name] = removed.get(name, 0) + erasure["removed"]
        write_json(file, certificate)
    certificate["complete"] = not unfinished_targets(certificate)
    if certificate["complete"]:
        certificate["completed_at"] = at.isoformat()
    write_json(file, certificate)
    return certificate


def unfinished_targets(certificate: Certificate) -> list[str]:
    """The export targets that may still hold the account."""
    return [target for target, erasure in certificate["targets"].items() if erasure["result"] in UNFINISHED]


def _open_certificate(state: StateDir, account_id: str, at: datetime) -> tuple[Path, Certificate]:
    """The certificate of this erasure and its file: a new one, or one of an earlier or killed erasure."""
    digest = hashlib.sha256(account_id.encode()).hexdigest()
    file = state.folder / "erased" / f"{digest[:16]}.json"
    if file.exists():
        earlier = read_stored(file, Certificate, "Move it away and erase again: a new certificate begins.")
        return file, {**earlier, "targets": {}, "complete": False}
    return file, {
        "account_sha256": digest,
        "removed": {},
        "targets": {},
        "began_at": at.isoformat(),
        "complete": False,
        "not_covered": ["raw tables", "backups"],
    }


def _removals(state: StateDir, engine: sql.Engine, account_id: str) -> Iterator[Removal]:
    """Each place that may hold the account, and what removes it there and counts it."""
    for file in (state.feast / "packed.db", state.account_table, state.revenue_table):
        yield f"sqlite {file.name}", lambda file=file: _remove_from_sqlite(file, account_id)
    if state.stores.online is not None:  # after the tables, which are written there again
        yield "redis", lambda: erase_online(state, account_id)
    for name, folder in (("history", state.history), ("quarantine", state.quarantine)):
        for file in sorted(folder.rglob("*.parquet")):
            if not _is_behind_link(file, folder):
                yield f"files {name}", lambda file=file: _remove_from_parquet(file, account_id)
    yield "files converted", lambda: _remove_conversions(state.converted, account_id)
    yield "files events", lambda: _remove_event_tables(state.event_tables, account_id)
    yield "files copied", lambda: _remove_copies(state.copies, account_id)
    for file in sorted(state.history.glob("*/written/*/day.json")):
        yield "history day files", lambda file=file: _remove_from_day_file(file, account_id)
    for file in quarantined_files(state.write_ahead_log):
        yield "write-ahead log, quarantined", lambda file=file: _remove_lines(file, account_id)
    for table in METADATA.sorted_tables:
        if ACCOUNT_ID in table.c:
            yield f"table {table.name}", lambda table=table: _remove_from_table(engine, table, account_id)
    yield f"table {SAVED_VIEWS.name}", lambda: erase_views_of(engine, account_id)
    yield f"table {IDEMPOTENT_RESPONSES.name}", lambda: _remove_responses(engine, account_id)


def _is_behind_link(file: Path, root: Path) -> bool:
    return any(parent.is_symlink() for parent in file.parents if parent.is_relative_to(root))


def _remove_from_sqlite(file: Path, account_id: str) -> int:
    if not file.exists():
        return 0
    reading = damaged_if((sqlite3.Error,), file, "Run `oarlock publish`, which writes it anew, and erase again.")
    with reading, closing(sqlite3.connect(file, timeout=10)) as connection, connection:
        connection.execute(SECURE_DELETE)
        tables = [row[0] for row in connection.execute("select name from sqlite_master where type = 'table'")]
        keyed = [name for name in tables if ACCOUNT_ID in _column_names(connection, name)]
        return sum(_remove_from_sqlite_table(connection, name, account_id) for name in keyed)


def _remove_from_sqlite_table(connection: sqlite3.Connection, table: str, account_id: str) -> int:
    stored = [row[0] for row in connection.execute(f'select distinct {ACCOUNT_ID} from "{table}"')]
    delete = f'delete from "{table}" where {ACCOUNT_ID} = ?'
    return sum(connection.execute(delete, [spelling]).rowcount for spelling in _spellings(stored, account_id))


def _spellings(stored: Iterable[str | None], account_id: str) -> list[str]:
    """The stored ids that mean an account: older releases took ids with control characters or in other forms."""
    return [text for text in stored if text is not None and canonical_account_id(text) == account_id]


def _column_names(connection: sqlite3.Connection, table: str) -> set[str]:
    return {row[1] for row in connection.execute(f'pragma table_info("{table}")')}


def _remove_from_parquet(file: Path, account_id: str) -> int:
    rows = _read_rows(file)
    if ACCOUNT_ID not in rows.column_names:
        return 0
    remaining = _without_account(rows, account_id)
    if remaining.num_rows < rows.num_rows:
        with atomic_write(file) as temporary:
            pq.write_table(remaining, temporary, compression="zstd")
    return rows.num_rows - remaining.num_rows


def _remove_conversions(folder: Path, account_id: str) -> int:
    """Remove every converted table, because the next command converts again what the raw tables then hold."""
    files = converted_files(folder)
    rows = sum(_count_rows(file, account_id) for file in files)
    remove_conversions(folder)
    return rows


def _remove_event_tables(folder: Path, account_id: str) -> int:
    """Remove the event tables: until the next publish writes one anew, the raw tables are read."""
    rows = sum(_count_rows(file, account_id) for file in folder.glob("*.parquet"))
    remove_event_tables(folder)
    return rows


def _remove_copies(folder: Path, account_id: str) -> int:
    """Remove every copy of databases and object storage: the next command copies again what they then hold.

    Counts the lines of CSV with the account's id: what a column of a source is, only the selects say.
    """
    if not folder.exists():
        return 0
    lines = sum(_count_lines(file, account_id) for file in folder.rglob("*.csv"))
    remove_conversions(folder)
    return lines


def _count_lines(file: Path, account_id: str) -> int:
    with file.open(encoding="utf-8", errors="replace", newline="") as text:
        return sum(account_id in row for row in csv.reader(text))


def _count_rows(file: Path, account_id: str) -> int:
    try:
        with damaged_if((pa.ArrowException, OSError), file, ""):
            has_ids = ACCOUNT_ID in pq.read_schema(file).names
            rows = pq.read_table(file, columns=[ACCOUNT_ID]) if has_ids else None
    except DamagedState:
        return 0  # it is removed all the same
    return 0 if rows is None else rows.num_rows - _without_account(rows, account_id).num_rows


def _read_rows(file: Path) -> pa.Table:
    """The rows of a file that may hold the account; raises DamagedState if nobody can say whether it does."""
    with damaged_if((pa.ArrowException, OSError), file, "Delete the file, run `oarlock publish`, and erase again."):
        return pq.read_table(file)


def _without_account(rows: pa.Table, account_id: str) -> pa.Table:
    ids = rows[ACCOUNT_ID].cast("string")
    spellings = pa.array(_spellings(ids.unique().to_pylist(), account_id), pa.string())
    return rows.filter(pc.invert(pc.is_in(ids, spellings)))  # type: ignore[attr-defined]


def _remove_from_day_file(file: Path, account_id: str) -> int:
    content = read_stored(file, JsonObject, "Run `oarlock publish` for that day, and erase again.")
    dropped: list[str] = content.get("dropped", [])
    spellings = _spellings(dropped, account_id)
    if spellings:
        write_json(file, {**content, "dropped": [other for other in dropped if other not in spellings]})
    return len(spellings)


def _remove_lines(file: Path, account_id: str) -> int:
    lines = file.read_bytes().splitlines(keepends=True)
    remaining = [line for line in lines if not _mentions(line, account_id)]
    if len(remaining) < len(lines):
        with atomic_write(file) as temporary:
            temporary.write_bytes(b"".join(remaining))
    return len(lines) - len(remaining)


def _mentions(text: bytes, account_id: str) -> bool:
    """Whether JSON holds the id, however it is spelled."""
    return any(
        canonical_account_id(json.loads(quoted)) == account_id
        for quoted in JSON_TEXT.findall(text.decode("utf-8", "replace"))
    )


def _remove_from_table(engine: sql.Engine, table: sql.Table, account_id: str) -> int:
    column = table.c[ACCOUNT_ID]
    with engine.begin() as connection:
        stored = connection.execute(sql.select(column).distinct()).scalars()
        spellings = _spellings(stored, account_id)
        return sum(connection.execute(table.delete().where(column == text)).rowcount for text in spellings)


def _remove_responses(engine: sql.Engine, account_id: str) -> int:
    """Responses are stored for a day for their idempotency keys; those that mention the account go now."""
    key = IDEMPOTENT_RESPONSES.c.key_id, IDEMPOTENT_RESPONSES.c.idempotency_key
    with engine.begin() as connection:
        rows = connection.execute(sql.select(*key, IDEMPOTENT_RESPONSES.c.body)).all()
        mentioning = [row[:2] for row in rows if row.body and _mentions(row.body, account_id)]
        for key_id, idempotency_key in mentioning:
            connection.execute(IDEMPOTENT_RESPONSES.delete().where(key[0] == key_id, key[1] == idempotency_key))
    return len(mentioning)
