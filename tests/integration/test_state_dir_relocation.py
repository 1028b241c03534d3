"""Moving: a state folder that stands elsewhere answers from the files that are there."""

import shutil
from pathlib import Path

import pytest

from configs.settings import Settings, read_settings
from configs.state_dir import State, open_state
from features.store.feast_store import open_history, read_history
from features.store.publication import published_edition
from tests.conftest import EXTRACT_ENDS, ROOT, Trained
from training.data.training_set import snapshots_of
from training.registry.mlflow_registry import Registry, open_registry


@pytest.fixture
def moved(trained: Trained, tmp_path: Path) -> State:
    """A state that was used in one folder and stands in another now; in the first there is nothing any more."""
    before = State(Path(shutil.copytree(trained.state.folder, tmp_path / "before", symlinks=True)))
    assert _places(_registry(trained.settings, before)) == {before.mlflow}
    return State(before.folder.rename(tmp_path / "after"))


def _registry(settings: Settings, state: State) -> Registry:
    return open_registry(state, settings.name)


def _places(registry: Registry) -> set[Path]:
    """The folders in which the registry looks for what it holds and puts what is new."""
    version, client = registry.newest(), registry.client
    places = (
        client.get_experiment_by_name(registry.name).artifact_location,
        client.get_run(version.run_id).info.artifact_uri,
        client.get_model_version_download_uri(registry.name, str(version.number)),
    )
    return {Path(one.removeprefix("file://").partition("/artifacts")[0]) for one in places}


def test_the_registry_finds_its_files_where_they_are_now(moved, trained):
    registry = _registry(trained.settings, moved)
    assert _places(registry) == {moved.mlflow}
    assert registry.load(registry.newest()).booster.num_trees() > 0


def test_every_move_is_followed(moved, trained, tmp_path):
    assert _places(_registry(trained.settings, moved)) == {moved.mlflow}
    again = State(moved.folder.rename(tmp_path / "before"))
    assert _places(_registry(trained.settings, again)) == {again.mlflow}


def test_a_mapping_that_moved_with_its_state_is_still_that_states(trained, tmp_path):
    for place in ("before", "after"):
        shutil.copytree(ROOT / "configs/datasets", tmp_path / place / "datasets")
        (tmp_path / place / "crm5.toml").write_text('state = "state"\n[data]\ndataset = "datasets/crm5.toml"\n')
    shutil.copytree(trained.state.folder, tmp_path / "before/state/crm5", symlinks=True)
    open_state(read_settings(tmp_path / "before/crm5.toml"))
    shutil.move(tmp_path / "before/state", tmp_path / "after/state")
    settings = read_settings(tmp_path / "after/crm5.toml")
    registry = _registry(settings, open_state(settings))
    assert _places(registry) == {tmp_path / "after/state/crm5/mlflow"}


def test_the_history_is_read_where_it_is_now(moved, trained):
    place, _ = published_edition(moved)
    store = open_history(moved, place, trained.settings.name)
    assert len(read_history(store, snapshots_of(place, [EXTRACT_ENDS]))) == 1222
