"""Remembered targets: where accounts were exported to, so that they can be erased there.

A target is remembered once its export has succeeded, with a mark by which it is recognised: the comment of a table, the
hash of a file. What does not carry it any more is not ours and stays as it is.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

import sqlalchemy as sql
from typing_extensions import TypedDict

from configs.errors import ConfigError
from serving.exports.targets import Target, parse_target
from serving.ledger.database import upsert
from serving.ledger.schema import EXPORT_TARGETS

# erased; absent: the target is gone; foreign: not made by Oarlock; changed: by others since; failed: not reached.
TargetResult = Literal["erased", "absent", "foreign", "changed", "failed"]
UNFINISHED: tuple[TargetResult, ...] = ("changed", "failed")


class TargetErasure(TypedDict):
    """What became of an account in one target, why, and how many rows were removed."""

    result: TargetResult
    detail: str
    removed: int


@dataclass(frozen=True)
class RememberedTarget:
    """A target by its name (without a password), its column of account ids, its mark, and its last export."""

    target: str
    key_column: str
    mark: str | None
    exported_at: datetime


def remember_target(engine: sql.Engine, target: Target, key_column: str, at: datetime) -> None:
    """Remember a target that was just written."""
    values = {"key_column": key_column, "exported_at": at, "mark": target.mark()}
    insert = upsert(EXPORT_TARGETS, engine).values(target=target.name, **values)
    with engine.begin() as connection:
        connection.execute(insert.on_conflict_do_update(index_elements=[EXPORT_TARGETS.c.target], set_=values))


def list_targets(engine: sql.Engine) -> list[RememberedTarget]:
    """Every remembered target, by name."""
    columns = (EXPORT_TARGETS.c[name] for name in RememberedTarget.__annotations__)
    with engine.connect() as connection:
        rows = connection.execute(sql.select(*columns).order_by(EXPORT_TARGETS.c.target))
        return [RememberedTarget(*row) for row in rows]


def forget_target(engine: sql.Engine, name: str) -> bool:
    """Forget a target; says whether it was remembered."""
    with engine.begin() as connection:
        return connection.execute(EXPORT_TARGETS.delete().where(EXPORT_TARGETS.c.target == name)).rowcount > 0


def erase_from_targets(engine: sql.Engine, account_id: str, at: datetime) -> Iterator[tuple[str, TargetErasure]]:
    """Remove an account from every remembered target; one that fails or is not ours does not keep it from the next."""
    for remembered in list_targets(engine):
        yield remembered.target, _erase_from(engine, remembered, account_id, at)


def _erase_from(engine: sql.Engine, remembered: RememberedTarget, account_id: str, at: datetime) -> TargetErasure:
    try:
        target = parse_target(remembered.target)
        mark = target.mark()
        if mark is None:
            return {"result": "absent", "detail": "it does not exist any more", "removed": 0}
        if not target.is_ours(mark, remembered.mark):
            return _left_alone(engine, target, remembered)
        removed = target.remove(account_id, remembered.key_column)
        if removed:
            remember_target(engine, target, remembered.key_column, remembered.exported_at or at)
    except (ConfigError, OSError) as error:
        return {"result": "failed", "detail": str(error), "removed": 0}
    return {"result": "erased", "detail": "", "removed": removed}


def _left_alone(engine: sql.Engine, target: Target, remembered: RememberedTarget) -> TargetErasure:
    """A table that was not made by Oarlock never held an export: it is forgotten. A file was ours once."""
    if target.is_table:
        forget_target(engine, remembered.target)
        return {"result": "foreign", "detail": "it was not created by Oarlock; it is left alone", "removed": 0}
    return {"result": "changed", "detail": "it was changed after the export; it is left alone", "removed": 0}
