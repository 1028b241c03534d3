"""From a folder of files: `init` writes what `validate` accepts, and never overwrites it."""

import json

import pytest

from tests.support.companies.company_files import company_rows, write_company
from tests.support.companies.vendor_exports import write_exports

# A file that is left open shows as one of these, when it is collected.
pytestmark = pytest.mark.filterwarnings("error::ResourceWarning", "error::pytest.PytestUnraisableExceptionWarning")


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


def test_init_combines_ready_mappings(oarlock, tmp_path):
    write_exports(tmp_path / "acme", "stripe", "zendesk")
    result = oarlock("init", str(tmp_path / "acme"), "--from", "stripe,zendesk", "--yes")
    assert "zendesk: 2 of 3 have no account whose id is their external_id: Umbra, Zeta" in result.out
    assert "`oarlock validate` passes." in result.out


def test_init_names_the_ready_mappings_that_there_are(oarlock, tmp_path):
    result = oarlock("init", str(tmp_path), "--from", "stripes")
    assert result.code == 2
    assert "There is no ready mapping 'stripes'. Choose among amplitude, chargebee, delighted," in " ".join(
        result.err.split()
    )


@pytest.mark.parametrize("command", ["init", "quickstart"])
def test_a_match_needs_ready_mappings(oarlock, tmp_path, command):
    result = oarlock(command, str(tmp_path), "--match", "stripe=metadata_account_id")
    assert result.code == 2
    assert "pass --from, too" in result.err
