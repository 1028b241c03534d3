"""A file that is read from SQLite is closed with its last reader, not whenever garbage is collected."""

import gc
import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from datetime import datetime
from pathlib import Path

import pytest

from features.store.account_table import AccountDetails, AccountTable, write_account_table
from features.store.sqlite_reader import SqliteReader


@pytest.fixture
def file(tmp_path: Path) -> Path:
    file = tmp_path / "accounts.db"
    write_account_table(file, datetime(2024, 5, 15), [AccountDetails("a", owner="ada")])
    return file


@pytest.fixture(autouse=True)
def no_garbage_collection() -> Iterator[None]:
    gc.disable()
    yield
    gc.enable()


def count_open(file: Path) -> int:
    """How often this process has a file open, also one of its name that was replaced."""
    links = [link for link in Path("/proc/self/fd").iterdir() if link.is_symlink()]
    return sum(str(link.readlink()).removesuffix(" (deleted)") == str(file) for link in links)


def test_the_file_is_closed_with_the_last_reference(file: Path):
    reader = SqliteReader(file, "ro", 1)
    assert reader.connection.execute("select account_id from accounts").fetchall() == [("a",)]
    assert count_open(file) == 1
    del reader
    assert count_open(file) == 0


def test_a_part_of_a_table_keeps_it_open(file: Path):
    part = AccountTable(file).owned_by("ada")
    assert [details.account_id for details in part.details_by_id(["a"]).values()] == ["a"]
    assert count_open(file) == 1
    del part
    assert count_open(file) == 0


def test_it_cannot_write(file: Path):
    reader = SqliteReader(file, "rw", 1)
    with pytest.raises(sqlite3.OperationalError, match="readonly"):
        reader.connection.execute("delete from accounts")


def test_a_forked_process_does_not_close_it(file: Path):
    reader = SqliteReader(file, "ro", 1)
    child = os.fork()
    if child == 0:
        connection = reader.connection
        del reader
        with closing(connection):
            os._exit(0 if connection.execute("select count(*) from accounts").fetchone() == (1,) else 1)
    assert os.waitpid(child, 0)[1] == 0


def test_a_file_that_cannot_be_opened_is_an_error(tmp_path: Path):
    with pytest.raises(sqlite3.OperationalError):
        SqliteReader(tmp_path / "none.db", "ro", 1)
