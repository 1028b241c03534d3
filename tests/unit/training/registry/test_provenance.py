"""Provenance: a run says what it was made from, and what of that has changed since, by name."""

from dataclasses import replace
from pathlib import Path

import pytest
from pydantic import ValidationError

from configs.settings import DataSettings, Settings, TrainingSettings
from features.tables.mapping import Dataset, Mapped
from training.registry.provenance import (
    Provenance,
    as_logged,
    differences,
    files_of,
    machine,
    read_provenance,
    sections_of,
)

SETTINGS = Settings(name="acme", data=DataSettings(dataset=Path("acme.toml")))
FILES, SIGNALS, MACHINE = {"usage: a.parquet": "1"}, {"events": "2"}, {"numpy": "2.4"}
THEN = Provenance(sections_of(SETTINGS), ("2023-01-01",), "2023-07-01", FILES, SIGNALS, MACHINE)


def told(**now: object) -> list[str]:
    return [str(one) for one in differences(THEN, replace(THEN, **now))]


def test_nothing_has_changed_where_nothing_did():
    assert told() == []


@pytest.mark.parametrize(
    ("now", "sentence"),
    [
        ({"files": {"usage: a.parquet": "9"}}, "raw file usage: a.parquet: then 1, now 9"),
        ({"files": {}}, "raw file usage: a.parquet: then 1, now not there"),
        ({"signals": {"events": "3"}}, "signal events: then 2, now 3"),
        ({"machine": {"numpy": "2.5"}}, "numpy: then 2.4, now 2.5"),
    ],
)
def test_what_changed_is_named(now, sentence):
    assert told(**now) == [sentence]


def test_a_changed_setting_is_named():
    changed = SETTINGS.model_copy(update={"training": TrainingSettings(num_iterations=10)})
    assert told(settings=sections_of(changed)) == [
        f"setting training.num_iterations: then {SETTINGS.training.num_iterations}, now 10"
    ]


def test_a_run_gets_its_settings_back():
    changed = SETTINGS.model_copy(update={"training": TrainingSettings(num_iterations=10)})
    assert as_logged(changed, THEN).training == SETTINGS.training
    with pytest.raises(ValidationError):
        as_logged(SETTINGS, replace(THEN, settings={**THEN.settings, "training": {"forests": 3}}))


def test_a_provenance_that_was_written_is_read_back():
    assert read_provenance(THEN.document()) == THEN


def test_every_raw_file_and_the_mapping_have_a_hash_of_their_own(tmp_path):
    mapping, raw = tmp_path / "acme.toml", tmp_path / "usage.csv"
    mapping.write_text("a")
    raw.write_text("b")
    dataset = Dataset(mapping=mapping, mapped=Mapped(name="acme", sources={"usage": "*.csv"}), files={"usage": (raw,)})
    before = files_of(dataset)
    assert set(before) == {"usage: usage.csv", "mapping: acme.toml"}
    raw.write_text("c")
    assert {name for name, value in files_of(dataset).items() if value != before[name]} == {"usage: usage.csv"}


def test_the_machine_says_what_computes_a_model():
    assert {"python", "oarlock", "lightgbm", "numpy", "code", "lock"} <= machine().keys()
