"""From a folder of files: `init` writes what `validate` accepts, and never overwrites it."""

import json

import pytest

from tests.support.companies.company_files import company_rows, write_company


@pytest.fixture
def folder(tmp_path):
    return write_company(tmp_path / "acme", company_rows())


def test_init_writes_files_that_validate_accepts(oarlock, folder):
    result = oarlock("init", str(folder), "--yes")
    assert "`oarlock validate` passes." in result.out
    config = str(folder / "acme.toml")
    assert json.loads(oarlock("--config", config, "validate", "--json").out)["tables"]["usage"] == 4604


def test_init_overwrites_nothing_without_force(oarlock, folder):
    (folder / "mapping.toml").write_text("mine")
    result = oarlock("init", str(folder), "--yes")
    assert result.code == 2
    assert "exists already. Pass --force" in result.err
    assert (folder / "mapping.toml").read_text() == "mine"


def test_init_prints_the_profile_as_json(oarlock, folder):
    profile = json.loads(oarlock("init", str(folder), "--yes", "--json").out)
    assert {table["table"]: table["rows"] for table in profile["tables"]} == {
        "accounts": 60, "subscriptions": 60, "usage": 4604,
    }  # fmt: skip
    assert profile["proposal"]["mode"] == "contract"
