"""From a Postgres database: `init` drafts as from a folder of the same tables, and `validate` accepts it."""

import re
from pathlib import Path

import psycopg
import pytest
from psycopg.sql import SQL, Identifier

from tests.support.companies.company_files import company_rows, write_company


@pytest.fixture
def database(postgres: str) -> str:
    """The address of a database with a company's tables, in which every column is text."""
    with psycopg.connect(postgres, autocommit=True) as connection:
        for name, rows in company_rows().items():
            columns = list(rows[0])
            fields = SQL(", ").join(SQL("{} text").format(Identifier(column)) for column in columns)
            connection.execute(SQL("create table {} ({})").format(Identifier(name), fields))
            with connection.cursor().copy(SQL("copy {} from stdin").format(Identifier(name))) as copy:
                for row in rows:
                    copy.write_row([row[column] for column in columns])
    return postgres


def decisions(mapping: Path) -> str:
    """The tables of a mapping, without where its sources are."""
    return mapping.read_text().split("[tables]")[1]


def test_init_drafts_a_database_as_it_drafts_a_folder(oarlock, database: str, tmp_path: Path):
    write_company(tmp_path / "files", company_rows())
    assert oarlock("init", str(tmp_path / "files"), "--yes").code == 0
    result = oarlock("init", database, "--output", str(tmp_path / "drafted"), "--yes")
    assert result.code == 0, result.err
    assert "`oarlock validate` passes" in result.out
    drafted = tmp_path / "drafted" / "mapping.toml"
    assert decisions(drafted) == decisions(tmp_path / "files" / "mapping.toml")
    lines = r'\[sources\.contracts\]\ndatabase = "postgresql://[^"]+"\ntable = "oarlock_\w+\.contracts"'
    assert re.search(lines, drafted.read_text())


def test_a_password_in_the_address_is_refused_before_anything_is_read(oarlock, tmp_path: Path):
    result = oarlock("init", "postgresql://reader:hunter2@127.0.0.1:9/crm", "--output", str(tmp_path))
    assert (result.code, "it holds a password" in result.err, "hunter2" in result.err + result.out) == (2, True, False)
    assert list(tmp_path.iterdir()) == []
