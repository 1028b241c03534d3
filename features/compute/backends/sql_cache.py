"""Queries: the SQL of expressions, kept on disk by a hash of what the expression computes.

To build and hash an expression takes a third of the time that its translation takes, which gives the same every day.
"""

import contextlib
import hashlib
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

import ibis.expr.types as ir

from configs.files import atomic_write
from features.compute.expression_hash import hash_expression

MOST = 32  # a publish needs up to five
TRANSLATORS = ("ibis-framework", "sqlglot", "duckdb")


@dataclass(frozen=True)
class Queries:
    """Queries in a folder of their own; without a folder each is translated anew."""

    folder: Path | None

    def text(self, rows: ir.Table, literals: Sequence[str], translate: Callable[[ir.Table], str]) -> str:
        """The query that gives these rows, with its instants as `literals`: as it was kept, or else translated."""
        if self.folder is None:
            return translate(rows)
        versions = map(version, TRANSLATORS)
        file = self.folder / f"{_digest(hash_expression(rows), *literals, *versions)}.sql"
        return _read(file) or self._keep(file, translate(rows))

    def _keep(self, file: Path, text: str) -> str:
        with atomic_write(file) as temporary:
            temporary.write_text(f"{_digest(text)}\n{text}", "utf-8")
        kept = sorted(file.parent.glob("*.sql"), key=_age)
        for one in kept[MOST:]:
            one.unlink(missing_ok=True)
        return text


def _read(file: Path) -> str | None:
    """What was kept, if it is there and whole."""
    try:
        digest, _, text = file.read_bytes().decode("utf-8", "replace").partition("\n")
    except FileNotFoundError:
        return None
    with contextlib.suppress(OSError):  # another's file, or one that another process takes away now
        os.utime(file)
    return text if digest == _digest(text) else None


def _age(file: Path) -> float:
    try:
        return -file.stat().st_mtime
    except FileNotFoundError:  # another process took it away
        return 0.0


def _digest(*texts: str) -> str:
    return hashlib.sha256("\0".join(texts).encode()).hexdigest()[:24]
