"""Reproduction: a run made again gives the same bytes, or says what keeps it from that."""

import json
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from configs.errors import NotReady
from configs.settings import TrainingSettings
from tests.conftest import silent
from training.pipelines.reproduce import reproduce
from training.registry.mlflow_registry import open_registry
from training.registry.version import Version


@pytest.fixture
def first(trained) -> Version:
    return open_registry(trained.state, trained.settings.name).get(1)


def test_a_run_made_again_is_the_same_to_the_byte_whatever_the_settings_say_now(trained, first):
    other = trained.settings.model_copy(update={"training": TrainingSettings(num_iterations=10)})
    found = reproduce(other, trained.state, first, silent)
    assert (found.same_booster, found.same_risks, found.is_same) == (True, True, True)
    assert found.snapshots > 1000
    before = trained.settings.training.num_iterations
    assert [str(one) for one in found.changed] == [f"setting training.num_iterations: then {before}, now 10"]


def test_a_changed_raw_file_is_named(trained, first, tmp_path):
    shipped = trained.settings.data.dataset
    data = Path(shutil.copytree(shipped.parent / "crm5", tmp_path / "crm5"))
    file = data / "event_type.parquet"
    file.write_bytes(file.read_bytes() + b"\0")
    moved = trained.settings.data.model_copy(update={"folder": data})
    found = reproduce(trained.settings.model_copy(update={"data": moved}), trained.state, first, silent)
    assert not found.is_same
    assert [one.what for one in found.changed] == ["raw file event_type: event_type.parquet"]
    assert found.could_not


@pytest.fixture
def altered(trained, first) -> Iterator[Callable[..., int]]:
    """Alter what the first run holds of its making, until the test is over."""
    file = open_registry(trained.state, trained.settings.name)._folder(first) / "provenance.json"
    before = file.read_text()
    yield lambda **changes: file.write_text(json.dumps(json.loads(before) | changes))
    file.write_text(before)


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"parent": 7}, "made of version 7 without retraining"),
        ({"settings": {"training": {"forests": 3}}}, "settings that are no longer known"),
    ],
)
def test_a_run_that_cannot_be_made_again_is_refused(trained, first, altered, changes, why):
    altered(**changes)
    with pytest.raises(NotReady, match=why):
        reproduce(trained.settings, trained.state, first, silent)


def test_a_day_that_is_gone_is_named(trained, first, altered):
    altered(days=["1999-01-01"])
    found = reproduce(trained.settings, trained.state, first, silent)
    assert (found.is_same, "no longer has 1999-01-01" in found.could_not) == (False, True)
