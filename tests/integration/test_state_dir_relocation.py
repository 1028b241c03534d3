"""Relocation: a state folder that was moved works with the files in its new place."""

import shutil
from pathlib import Path

import pytest

from configs.settings import Settings
from configs.settings_file import read_settings
from configs.state_dir import StateDir, open_state_dir
from features.store.feast_store import open_history_store, read_historical_signals
from features.store.history import published_history
from tests.support.paths import ROOT
from tests.support.trained_model import EXTRACT_END, TrainedModel, copy_folder
from training.data.training_set import snapshots_on
from training.registry.mlflow_registry import Registry, open_registry


@pytest.fixture
def moved(trained: TrainedModel, tmp_path: Path) -> StateDir:
    """A state folder that was used in one place and then moved to another."""
    before = StateDir(copy_folder(trained.state.folder, tmp_path / "before"))
    assert _folders(_registry(trained.settings, before)) == {before.mlflow}
    return StateDir(before.folder.rename(tmp_path / "after"))


def _registry(settings: Settings, state: StateDir) -> Registry:
    return open_registry(state, settings.name)


def _folders(registry: Registry) -> set[Path]:
    """The folders from which the registry reads artifacts and to which it writes new ones."""
    version, client = registry.newest(), registry.client
    experiment = client.get_experiment_by_name(registry.name)
    assert experiment is not None
    uris = (
        experiment.artifact_location,
        client.get_run(version.run_id).info.artifact_uri,
        client.get_model_version_download_uri(registry.name, str(version.number)),
    )
    return {Path(str(uri).removeprefix("file://").partition("/artifacts")[0]) for uri in uris}


def test_the_registry_finds_its_files_after_a_move(moved, trained: TrainedModel):
    registry = _registry(trained.settings, moved)
    assert _folders(registry) == {moved.mlflow}
    assert registry.load_model(registry.newest()).booster.num_trees() > 0


def test_a_state_folder_may_move_twice(moved, trained: TrainedModel, tmp_path):
    assert _folders(_registry(trained.settings, moved)) == {moved.mlflow}
    again = StateDir(moved.folder.rename(tmp_path / "before"))
    assert _folders(_registry(trained.settings, again)) == {again.mlflow}


def test_a_mapping_may_move_with_its_state(trained: TrainedModel, tmp_path):
    for folder in ("before", "after"):
        shutil.copytree(ROOT / "configs/datasets", tmp_path / folder / "datasets")
        (tmp_path / folder / "crm5.toml").write_text('state = "state"\n[data]\ndataset = "datasets/crm5.toml"\n')
    copy_folder(trained.state.folder, tmp_path / "before/state/crm5")
    open_state_dir(read_settings(tmp_path / "before/crm5.toml"))
    shutil.move(tmp_path / "before/state", tmp_path / "after/state")
    settings = read_settings(tmp_path / "after/crm5.toml")
    registry = _registry(settings, open_state_dir(settings))
    assert _folders(registry) == {tmp_path / "after/state/crm5/mlflow"}


def test_the_history_is_read_after_a_move(moved, trained: TrainedModel):
    history, _ = published_history(moved)
    store = open_history_store(moved, history, trained.settings.name)
    assert len(read_historical_signals(store, snapshots_on(history, [EXTRACT_END]))) == 1222
