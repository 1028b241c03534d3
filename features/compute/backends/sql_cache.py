"""Queries: what declarations become in the engine's words, kept on disk by all that it is made of.

To translate them takes longer than a small company's day, and gives the same every day.
"""

import contextlib
import hashlib
import os
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from importlib.metadata import version
from pathlib import Path

from configs.files import replacing

MOST = 32  # a publish needs up to five
TRANSLATORS = ("ibis-framework", "sqlglot", "duckdb")


@dataclass(frozen=True)
class Queries:
    """The queries over one data set, in a folder of their own; without a folder each is made anew.

    `selects` is how the data set's tables are read, which a query holds and those who ask for one do not know.
    """

    folder: Path | None
    selects: str

    def text(self, made_of: str, translate: Callable[[], str]) -> str:
        """The query that is made of this: as it was kept, or as `translate` gives it."""
        if self.folder is None:
            return translate()
        file = self.folder / f"{_digest(_translator(), self.selects, made_of)}.sql"
        return _read(file) or self._keep(file, translate())

    def _keep(self, file: Path, text: str) -> str:
        with replacing(file) as temporary:
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


@cache
def _translator() -> str:
    """A hash of the code that makes queries, ours and that of others."""
    files = sorted(Path(__file__).parents[2].rglob("*.py"))
    return _digest(*(file.read_text("utf-8") for file in files), *(version(name) for name in TRANSLATORS))


def _digest(*texts: str) -> str:
    return hashlib.sha256("\0".join(texts).encode()).hexdigest()[:24]
