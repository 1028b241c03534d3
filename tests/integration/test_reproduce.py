"""Reproduction: a repeated run gives the same bytes or reports what prevents it."""

import json
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from configs.errors import NotReady
from configs.sections.signals import SignalSettings
from configs.sections.training import TrainingSettings
from tests.support.progress import ignore_progress
from tests.support.trained_model import TrainedModel
from training.pipelines.reproduce import reproduce
from training.registry.mlflow_registry import open_registry
from training.registry.version import Version


@pytest.fixture
def version(trained: TrainedModel) -> Version:
    return open_registry(trained.state, trained.settings.name).get(1)


@pytest.mark.slow
def test_a_reproduced_run_ignores_the_current_settings(trained: TrainedModel, version):
    changes = {"training": TrainingSettings(num_iterations=10), "signals": SignalSettings(per_event_kind=3)}
    other = trained.settings.model_copy(update=changes)
    result = reproduce(other, trained.state, version, ignore_progress)
    assert (result.same_booster, result.same_risks, result.is_same) == (True, True, True)
    assert result.snapshots > 1000
    before = trained.settings.training.num_iterations
    assert [str(difference) for difference in result.differences] == [
        "setting signals.per_event_kind: was 0, is now 3",
        f"setting training.num_iterations: was {before}, is now 10",
    ]


def test_a_changed_raw_file_is_reported(trained: TrainedModel, version, tmp_path):
    shipped = trained.settings.data.dataset
    data = Path(shutil.copytree(shipped.parent / "crm5", tmp_path / "crm5"))
    file = data / "event_type.parquet"
    file.write_bytes(file.read_bytes() + b"\0")
    moved = trained.settings.data.model_copy(update={"folder": data})
    result = reproduce(trained.settings.model_copy(update={"data": moved}), trained.state, version, ignore_progress)
    assert not result.is_same
    assert [difference.name for difference in result.differences] == ["event_type: event_type.parquet"]
    assert result.failure


@pytest.fixture
def alter_provenance(trained: TrainedModel, version) -> Iterator[Callable[..., int]]:
    """Change the stored provenance of version 1 until the test ends."""
    file = open_registry(trained.state, trained.settings.name)._model_folder(version) / "provenance.json"
    before = file.read_text()
    yield lambda **changes: file.write_text(json.dumps(json.loads(before) | changes))
    file.write_text(before)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"parent": 7}, "made from version 7 without retraining"),
        ({"settings": {"training": {"forests": 3}}}, "settings that no longer exist"),
    ],
)
def test_a_run_that_cannot_be_reproduced_is_refused(trained: TrainedModel, version, alter_provenance, changes, message):
    alter_provenance(**changes)
    with pytest.raises(NotReady, match=message):
        reproduce(trained.settings, trained.state, version, ignore_progress)


def test_a_missing_day_is_reported(trained: TrainedModel, version, alter_provenance):
    alter_provenance(days=["1999-01-01"])
    result = reproduce(trained.settings, trained.state, version, ignore_progress)
    assert (result.is_same, "no longer has 1999-01-01" in result.failure) == (False, True)
