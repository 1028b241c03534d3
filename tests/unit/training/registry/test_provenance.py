"""Provenance: what a version was trained from, and what of that has changed since."""

from dataclasses import replace
from pathlib import Path

import pytest
from pydantic import ValidationError

from configs.sections.publishing import DataSettings
from configs.sections.training import TrainingSettings
from configs.settings import Settings
from features.tables.dataset import Dataset
from features.tables.mapping import DatasetMapping, SourceMapping
from training.registry.provenance import (
    Provenance,
    compare_provenance,
    describe_environment,
    hash_files,
    model_settings,
    read_provenance,
    restore_settings,
)

SETTINGS = Settings(name="acme", data=DataSettings(dataset=Path("acme.toml")))
FEW_TREES = SETTINGS.model_copy(update={"training": TrainingSettings(num_iterations=10)})
STORED = Provenance(
    settings=model_settings(SETTINGS),
    days=("2023-01-01",),
    known_until="2023-07-01",
    files={"usage: a.parquet": "1"},
    signals={"events": "2"},
    environment={"numpy": "2.4"},
)


def test_the_same_provenance_has_no_differences():
    assert compare_provenance(STORED, replace(STORED)) == ()


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"files": {"usage: a.parquet": "9"}}, "raw file usage: a.parquet: was 1, is now 9"),
        ({"files": {}}, "raw file usage: a.parquet: was 1, is now missing"),
        ({"signals": {"events": "3"}}, "signal events: was 2, is now 3"),
        ({"environment": {"numpy": "2.5"}}, "environment numpy: was 2.4, is now 2.5"),
        (
            {"settings": model_settings(FEW_TREES)},
            f"setting training.num_iterations: was {SETTINGS.training.num_iterations}, is now 10",
        ),
    ],
)
def test_a_change_is_named(change, sentence):
    assert [str(difference) for difference in compare_provenance(STORED, replace(STORED, **change))] == [sentence]


def test_settings_are_restored():
    assert restore_settings(FEW_TREES, STORED).training == SETTINGS.training


def test_a_setting_that_no_longer_exists_is_an_error():
    with pytest.raises(ValidationError):
        restore_settings(SETTINGS, replace(STORED, settings={"training": {"forests": 3}}))


def test_a_stored_provenance_is_read_back():
    assert read_provenance(STORED.to_json()) == STORED


def test_raw_files_and_mapping_have_one_hash_each(tmp_path):
    mapping_file, raw = tmp_path / "acme.toml", tmp_path / "usage.csv"
    mapping_file.write_text("a")
    raw.write_text("b")
    mapping = DatasetMapping(name="acme", sources={"usage": SourceMapping(files="*.csv")})
    dataset = Dataset(mapping_file=mapping_file, mapping=mapping, files={"usage": (raw,)})
    before = hash_files(dataset)
    assert set(before) == {"usage: usage.csv", "mapping: acme.toml"}
    raw.write_text("c")
    after = hash_files(dataset)
    assert {name for name in after if after[name] != before[name]} == {"usage: usage.csv"}


def test_the_environment_names_what_computes_a_model():
    assert {"python", "oarlock", "lightgbm", "numpy", "code", "lock"} <= describe_environment().keys()
