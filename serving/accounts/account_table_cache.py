"""The account table of this process, opened again after every publish."""

from collections.abc import Sequence
from pathlib import Path

from features.store.account_table import AccountDetails, AccountTable
from serving.accounts.newest_file import NewestFile


class AccountTableCache(NewestFile[AccountTable]):
    """Keeps the newest account table open."""

    def __init__(self, file: Path) -> None:
        super().__init__(file, AccountTable)

    def details(self, account_ids: Sequence[str]) -> dict[str, AccountDetails]:
        """The details of these accounts by id; empty if nothing was published."""
        return self.current().details_by_id(account_ids) if self.file.exists() else {}
