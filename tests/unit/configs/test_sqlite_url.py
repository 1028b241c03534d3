"""A SQLite file is opened where it is, whatever its folder is called."""

from pathlib import Path

import pytest
import sqlalchemy as sql

from configs.files import sqlite_url


@pytest.mark.parametrize("name", ["plain", "with space", "[2023]", "50%", "a%20b", "what?", "a#1", "x;y", "é"])
def test_the_file_is_made_in_its_folder(tmp_path: Path, name: str):
    folder = tmp_path / name
    folder.mkdir()
    with sql.create_engine(sqlite_url(folder / "own.db")).begin() as connection:
        connection.execute(sql.text("create table rows (id integer)"))
    assert [path.name for path in folder.iterdir()] == ["own.db"]
    assert sorted(path.name for path in tmp_path.iterdir()) == [name]
