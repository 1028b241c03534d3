"""The account table of this process, opened again after every publish."""

from collections.abc import Sequence
from pathlib import Path

from features.store.account_table import AccountDetails, AccountTable


class AccountTableCache:
    """Keeps the newest account table open."""

    def __init__(self, file: Path) -> None:
        self.file = file
        self._opened: tuple[int, AccountTable] | None = None

    def current(self) -> AccountTable:
        """The account table of the newest published day; raises NotReady if nothing was published."""
        written, opened = self.written_at(), self._opened
        if opened is None or opened[0] != written:
            # The previous table is not closed: another thread may be reading it. It closes with its last reader.
            self._opened = opened = (written, AccountTable(self.file))
        return opened[1]

    def written_at(self) -> int:
        """When the newest table was written, in nanoseconds since 1970; 0 if nothing was published."""
        return self.file.stat().st_mtime_ns if self.file.exists() else 0

    def details(self, account_ids: Sequence[str]) -> dict[str, AccountDetails]:
        """The details of these accounts by id; empty if nothing was published."""
        return self.current().details_by_id(account_ids) if self.file.exists() else {}
