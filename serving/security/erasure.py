"""Erasing: an account taken out of every place Oarlock keeps it in, with a certificate that counts what was removed.

The certificate names the account by the SHA-256 of its id. It is written after each place, so an erasing that was
killed goes on where it was and its counts add up. Raw tables are not Oarlock's: the account must be gone there first,
or the next publish brings it back.
"""

import hashlib
import json
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import datetime
from pathlib import Path
from typing import Any

import pyarrow.compute as pc
import pyarrow.parquet as pq
import sqlalchemy as sql

from configs.files import atomic_write, read_json, write_json
from configs.state_dir import StateDir
from serving.exports.targets import parse_target
from serving.ledger.database import SECURE_DELETE, upsert
from serving.ledger.schema import EXPORT_TARGETS, IDEMPOTENT_RESPONSES, METADATA
from serving.ledger.write_ahead_log import quarantined_files

KEY = "account_id"
Place = tuple[str, Callable[[], int]]


def record_export_target(engine: sql.Engine, name: str, key: str, at: datetime) -> None:
    """Remember where accounts are exported to, so that they can be erased there."""
    given = upsert(EXPORT_TARGETS, engine).values(target=name, key=key, at=at)
    with engine.begin() as connection:
        connection.execute(
            given.on_conflict_do_update(index_elements=[EXPORT_TARGETS.c.target], set_={"key": key, "at": at})
        )


def erase_account(state: StateDir, engine: sql.Engine, account_id: str, at: datetime) -> dict[str, Any]:
    """Take an account out of every place; gives the certificate. May be run again at any time."""
    identity = hashlib.sha256(account_id.encode()).hexdigest()
    file = state.folder / "erased" / f"{identity[:16]}.json"
    certificate = read_json(file) if file.exists() else {"account_sha256": identity, "removed": {}}
    certificate |= {"began_at": certificate.get("began_at", at.isoformat()), "complete": False}
    for name, remove in _places(state, engine, account_id):
        certificate["removed"][name] = certificate["removed"].get(name, 0) + remove()
        write_json(file, certificate)
    certificate |= {"complete": True, "completed_at": at.isoformat(), "not_covered": ["raw tables", "backups"]}
    write_json(file, certificate)
    return certificate


def _places(state: StateDir, engine: sql.Engine, account_id: str) -> Iterator[Place]:
    for file in (state.feast / "packed.db", state.account_table):
        yield f"sqlite {file.name}", lambda file=file: _from_sqlite(file, account_id)
    for file in sorted(state.history.rglob("*.parquet")) + sorted(state.quarantine.rglob("*.parquet")):
        if not _through_link(file, state.folder):
            yield f"files {file.relative_to(state.folder).parts[0]}", lambda file=file: _from_parquet(file, account_id)
    for file in sorted(state.history.glob("*/written/*/day.json")):
        yield "days' notes", lambda file=file: _from_note(file, account_id)
    for file in quarantined_files(state.write_ahead_log):
        yield "journal, kept aside", lambda file=file: _from_lines(file, account_id)
    for table in METADATA.sorted_tables:
        if KEY in table.c:
            yield f"table {table.name}", lambda table=table: _from_table(engine, table, account_id)
    yield "table replies", lambda: _from_replies(engine, account_id)
    for name, key in _exports(engine):
        yield f"export {name}", lambda name=name, key=key: parse_target(name).remove(account_id, key)


def _through_link(file: Path, root: Path) -> bool:
    return any(parent.is_symlink() for parent in file.parents if parent.is_relative_to(root))


def _from_sqlite(file: Path, account_id: str) -> int:
    if not file.exists():
        return 0
    with closing(sqlite3.connect(file, timeout=10)) as connection, connection:
        names = [row[0] for row in connection.execute("select name from sqlite_master where type = 'table'")]
        keyed = [one for one in names if KEY in {row[1] for row in connection.execute(f'pragma table_info("{one}")')}]
        connection.execute(SECURE_DELETE)
        return sum(connection.execute(f'delete from "{one}" where {KEY} = ?', [account_id]).rowcount for one in keyed)


def _from_parquet(file: Path, account_id: str) -> int:
    if KEY not in pq.read_schema(file).names:
        return 0
    rows = pq.read_table(file)
    kept = rows.filter(pc.fill_null(pc.not_equal(rows[KEY].cast("string"), account_id), True))  # type: ignore[attr-defined]
    if kept.num_rows < rows.num_rows:
        with atomic_write(file) as temporary:
            pq.write_table(kept, temporary, compression="zstd")
    return rows.num_rows - kept.num_rows


def _from_note(file: Path, account_id: str) -> int:
    note = read_json(file)
    kept = [one for one in note.get("dropped", []) if one != account_id]
    if len(kept) == len(note.get("dropped", [])):
        return 0
    write_json(file, {**note, "dropped": kept})
    return 1


def _from_lines(file: Path, account_id: str) -> int:
    lines = file.read_bytes().splitlines(keepends=True)
    kept = [one for one in lines if not any(name in one for name in _spelled(account_id))]
    if len(kept) < len(lines):
        with atomic_write(file) as temporary:
            temporary.write_bytes(b"".join(kept))
    return len(lines) - len(kept)


def _spelled(account_id: str) -> set[bytes]:
    """The id as JSON may spell it."""
    return {json.dumps(account_id, ensure_ascii=plain).encode("utf-8", "surrogatepass") for plain in (True, False)}


def _from_table(engine: sql.Engine, table: sql.Table, account_id: str) -> int:
    with engine.begin() as connection:
        return connection.execute(table.delete().where(table.c[KEY] == account_id)).rowcount


def _from_replies(engine: sql.Engine, account_id: str) -> int:
    """Replies kept for idempotency keys live a day; those that name the account go now."""
    with engine.begin() as connection:
        kept = connection.execute(
            sql.select(
                IDEMPOTENT_RESPONSES.c.asker, IDEMPOTENT_RESPONSES.c.idempotency_key, IDEMPOTENT_RESPONSES.c.body
            )
        ).all()
        naming = [one for one in kept if one.body and any(name in one.body for name in _spelled(account_id))]
        for one in naming:
            mine = (
                IDEMPOTENT_RESPONSES.c.asker == one.asker,
                IDEMPOTENT_RESPONSES.c.idempotency_key == one.idempotency_key,
            )
            connection.execute(IDEMPOTENT_RESPONSES.delete().where(*mine))
    return len(naming)


def _exports(engine: sql.Engine) -> list[tuple[str, str]]:
    with engine.connect() as connection:
        return [
            (row.target, row.key)
            for row in connection.execute(sql.select(EXPORT_TARGETS).order_by(EXPORT_TARGETS.c.target))
        ]
