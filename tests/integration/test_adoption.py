"""Adoption on the command line: a version is exported, and another registry adopts, compares and promotes it."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support.trained_model import TrainedModel, copy_without_risks


@pytest.fixture
def exported(trained: TrainedModel, oarlock, tmp_path: Path) -> Path:
    folder = tmp_path / "shared"
    assert oarlock("models", "export", "1", "--output", str(folder), config=trained.config).code == 0
    return folder


@pytest.fixture
def foreign(exported: Path) -> Path:
    """The exported model as if it were of another company."""
    origin = json.loads((exported / "origin.json").read_text())
    (exported / "origin.json").write_text(json.dumps(origin | {"dataset": "another company"}))
    return exported


def test_an_exported_model_names_no_account_and_no_value(exported):
    assert sorted(file.name for file in exported.iterdir()) == ["booster.txt", "model.json", "origin.json"]
    document = json.loads((exported / "model.json").read_text())
    assert (document["typical_values"], document["identity"], document["bands"]) == ({}, {}, {})
    assert json.loads((exported / "origin.json").read_text())["name"] == "crm5"


def test_a_folder_with_files_is_not_overwritten(exported, trained, oarlock):
    result = oarlock("models", "export", "1", "--output", str(exported), config=trained.config)
    assert result.failure[0] == 9
    assert "is not an empty folder" in result.failure[1]


@pytest.mark.slow
def test_an_adopted_version_is_compared_with_the_champion_on_the_same_days(foreign, trained, oarlock, tmp_path):
    config = copy_without_risks(trained, tmp_path / "company")
    adopted = json.loads(oarlock("models", "adopt", str(foreign), "--json", config=config).out)
    assert (adopted["version"]["number"], adopted["missing_signals"], adopted["adopted_from"]) == (
        2,
        0,
        "crm5 version 1",
    )
    assert adopted["leakage"]["shuffled_labels"] is None
    assert adopted["comparison"]["snapshots"] > 1_000

    again = json.loads(oarlock("models", "adopt", str(foreign), "--json", config=config).out)
    assert (again["reused"], again["version"]["number"]) == (True, 2)
    listed = json.loads(oarlock("models", "list", "--json", config=config).out)["versions"]
    assert listed[0]["origin"] == "adopted from crm5 version 1"
    assert "Adopted from crm5 version 1" in oarlock("model-card", "2", config=config).out
    code, message = oarlock("reproduce", "2", config=config).failure
    assert code == 5
    assert "was adopted from crm5 version 1" in message


@pytest.fixture
def refuse(foreign: Path, trained: TrainedModel, oarlock) -> Callable[..., tuple[int, str]]:
    """Adopt the exported model into the company that it is from; gives the exit code and the error."""
    return lambda: oarlock("models", "adopt", str(foreign), config=trained.config).failure


@pytest.mark.parametrize(
    ("setting", "value", "message"),
    [
        ("HORIZON_DAYS", "30", "its label.horizon_days is 60, here it is 30"),
        ("LEAD_DAYS", "7", "its label.lead_days is 0, here it is 7"),
    ],
)
def test_a_model_of_another_label_is_refused(refuse, monkeypatch, setting, value, message):
    monkeypatch.setenv(f"OARLOCK_LABEL__{setting}", value)
    code, error = refuse()
    assert code == 9
    assert message in error


def test_a_model_of_the_same_company_is_refused(exported, trained, oarlock):
    code, error = oarlock("models", "adopt", str(exported), config=trained.config).failure
    assert code == 9
    assert "was trained on a data set of the same name, 'crm5'" in error


def test_a_company_that_nobody_left_is_refused(foreign, published_company, monkeypatch, oarlock):
    monkeypatch.setenv("OARLOCK_LABEL__HORIZON_DAYS", "60")
    config = published_company.folder / "growing.toml"
    code, error = oarlock("models", "adopt", str(foreign), config=config).failure
    assert code == 4
    assert "Of 40 accounts with known labels only 0 churned; at least 5 must have" in error


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("booster.txt", "booster.txt cannot be read: it was changed after it was exported"),
        ("model.json", "model.json cannot be read: it was changed after it was exported"),
        ("origin.json", "origin.json cannot be read"),
    ],
)
def test_a_damaged_export_is_refused(foreign, refuse, name, message):
    content = (foreign / name).read_text()
    (foreign / name).write_text(content[: len(content) // 2])
    code, error = refuse()
    assert code == 5
    assert message in error


def test_a_folder_without_a_model_is_refused(exported, refuse):
    (exported / "booster.txt").unlink()
    code, error = refuse()
    assert code == 9
    assert "it has no booster.txt" in error
