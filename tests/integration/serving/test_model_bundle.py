"""The model bundle and the champion pointer: a worker loads the promoted model or keeps the one it has."""

import dataclasses
import json
import shutil

import numpy as np
import pytest

from configs.errors import NoChampion, NotReady, PromotionRefused
from configs.files import read_json, write_json
from configs.state_dir import StateDir
from serving.scoring.champion import ChampionProvider
from serving.scoring.champion_pointer import (
    build_bundle,
    bundle_folder,
    read_pointer,
    read_version_list,
    rebuild_outdated_bundle,
    sync_champion,
)
from serving.scoring.model_bundle import ARRAYS_FILE, DOCUMENT_FILE, ModelBundle, load_bundle, make_bundle, save_bundle
from serving.treeshap.kernel import Kernel
from serving.treeshap.lightgbm_parser import UnsupportedBooster, read_trees
from tests.support.damaged_version import register_damaged_version
from tests.support.trained_model import TrainedModel
from training.model.churn_model import ChurnModel
from training.registry.mlflow_registry import open_registry
from training.registry.version import CHAMPION

EXACT = 1e-9


@pytest.fixture(scope="module")
def model(trained: TrainedModel) -> ChurnModel:
    registry = open_registry(trained.state, trained.settings.name)
    return registry.load_model(registry.champion())


@pytest.fixture(scope="module")
def bundle(model, trained: TrainedModel) -> ModelBundle:
    return make_bundle(model, Kernel(trained.state.compiled_kernels))


@pytest.fixture
def state(trained: TrainedModel, tmp_path) -> StateDir:
    """A state of its own that shares the registry."""
    (tmp_path / "mlflow").symlink_to(trained.state.mlflow)
    return StateDir(tmp_path)


def test_a_bundle_gives_the_risks_of_the_model(bundle, model):
    matrix = np.random.default_rng(0).normal(size=(50, len(model.inputs)))
    assert np.abs(bundle.predict_risks_by_horizon(matrix) - model.predict_risks_by_horizon(matrix)).max() < EXACT
    assert np.abs(bundle.predict_contributions(matrix) - model.predict_contributions(matrix)).max() < EXACT


def test_a_saved_bundle_is_loaded_unchanged(bundle, tmp_path):
    save_bundle(bundle, tmp_path)
    loaded = load_bundle(tmp_path, bundle.kernel)
    assert (loaded.inputs, loaded.calibrator, loaded.label) == (bundle.inputs, bundle.calibrator, dict(bundle.label))
    assert np.array_equal(loaded.predict_risks(bundle.smoke_matrix), bundle.predict_risks(bundle.smoke_matrix))


def test_an_unsupported_booster_falls_back_to_lightgbm(model, trained: TrainedModel, tmp_path):
    kernel = Kernel(trained.state.compiled_kernels)
    # LightGBM ignores the extra line; to the kernel this is a random forest, whose trees are averaged.
    forest = dataclasses.replace(model, booster_text=model.booster_text.replace("tree\n", "tree\naverage_output\n", 1))
    exact = make_bundle(model, kernel)
    fallback = dataclasses.replace(exact, trees=None, booster_text=model.booster_text)
    save_bundle(fallback, tmp_path)
    loaded = load_bundle(tmp_path, kernel)
    assert (
        np.abs(loaded.predict_contributions(exact.smoke_matrix) - exact.predict_contributions(exact.smoke_matrix)).max()
        < EXACT
    )
    with pytest.raises(UnsupportedBooster, match="averages"):
        read_trees(forest.booster_text)


def test_a_bundle_with_wrong_contributions_is_refused(model, trained: TrainedModel):
    other = dataclasses.replace(model, base_margin=model.base_margin + 1e-6)
    with pytest.raises(PromotionRefused, match="differ from the booster's"):
        make_bundle(other, Kernel(trained.state.compiled_kernels))


@pytest.mark.parametrize("file", [ARRAYS_FILE, DOCUMENT_FILE])
def test_a_truncated_bundle_is_refused(bundle, tmp_path, file):
    save_bundle(bundle, tmp_path)
    content = (tmp_path / file).read_bytes()
    (tmp_path / file).write_bytes(content[: len(content) // 2])
    with pytest.raises(PromotionRefused, match="cannot be read"):
        load_bundle(tmp_path, bundle.kernel)


def test_a_bundle_with_wrong_risks_is_refused(bundle, tmp_path):
    save_bundle(bundle, tmp_path)
    document = json.loads((tmp_path / DOCUMENT_FILE).read_text())
    write_json(tmp_path / DOCUMENT_FILE, {**document, "base_margin": document["base_margin"] + 0.1})
    with pytest.raises(PromotionRefused, match="does not reproduce the risks"):
        load_bundle(tmp_path, bundle.kernel)


def test_the_champion_pointer_follows_the_alias(trained: TrainedModel, state):
    registry = open_registry(state, trained.settings.name)
    assert sync_champion(state, registry) == read_pointer(state).version
    registry.client.delete_registered_model_alias(registry.name, CHAMPION)
    try:
        assert sync_champion(state, registry) is None
        with pytest.raises(NoChampion):
            read_pointer(state)
    finally:
        registry.client.set_registered_model_alias(registry.name, CHAMPION, "1")


def test_a_version_whose_model_is_damaged_is_refused_and_blocks_no_other(
    trained: TrainedModel, tmp_path, copy_state_part
):
    state = StateDir(copy_state_part("mlflow").parent)
    registry = open_registry(state, trained.settings.name)
    sync_champion(state, registry)
    damaged = register_damaged_version(registry, registry.get(1), tmp_path / "damaged")
    sync_champion(state, registry)
    listed = read_version_list(state)
    assert listed is not None
    assert ([model["version"] for model in listed.models], listed.unreadable) == ([1], [damaged.number])

    registry.client.set_registered_model_alias(registry.name, CHAMPION, str(damaged.number))
    with pytest.raises(NotReady, match="version 2 is damaged"):
        sync_champion(state, registry)
    pointer = read_pointer(state)
    assert pointer.refused is not None
    assert (pointer.version.number, pointer.refused["version"]) == (1, damaged.number)

    registry.client.set_registered_model_alias(registry.name, CHAMPION, "1")
    sync_champion(state, registry)
    assert read_pointer(state).refused is None


def test_a_bundle_is_stored_with_its_version(trained: TrainedModel, state):
    registry = open_registry(state, trained.settings.name)
    content = (build_bundle(state, registry, registry.champion()) / ARRAYS_FILE).read_bytes()
    shutil.rmtree(state.bundles)
    assert (build_bundle(state, registry, registry.champion()) / ARRAYS_FILE).read_bytes() == content


def test_a_scorer_keeps_its_model_if_the_new_bundle_is_bad(trained: TrainedModel, state):
    registry = open_registry(state, trained.settings.name)
    version = sync_champion(state, registry)
    champions = ChampionProvider(state, trained.settings.name)
    model = champions.refresh()
    assert model.version == version
    shutil.copytree(bundle_folder(state, 1), bundle_folder(state, 2))
    document = read_json(bundle_folder(state, 2) / DOCUMENT_FILE)
    write_json(bundle_folder(state, 2) / DOCUMENT_FILE, {**document, "base_margin": 0.0})
    write_json(
        state.champion_pointer, {"version": {**vars(version), "number": 2}, "folder": bundle_folder(state, 2).name}
    )
    assert champions.refresh() is model
    assert champions.refused is not None
    assert (champions.refused["version"], "risks it was built with" in champions.refused["reason"]) == (2, True)
    write_json(state.champion_pointer, {"version": vars(version), "folder": bundle_folder(state, 1).name})
    assert champions.refresh() is model
    assert champions.refused is None


def test_an_outdated_bundle_is_rebuilt_for_a_batch(trained: TrainedModel, state):
    version = sync_champion(state, open_registry(state, trained.settings.name))
    bundle_folder(state, 1).rename(state.bundles / "1-0")
    write_json(state.champion_pointer, {"version": vars(version), "folder": "1-0"})
    rebuild_outdated_bundle(state, open_registry(state, trained.settings.name))
    assert ChampionProvider(state, trained.settings.name).champion().version == version


def test_a_bundle_of_another_oarlock_version_is_refused(bundle, tmp_path):
    save_bundle(bundle, tmp_path)
    write_json(tmp_path / DOCUMENT_FILE, {**read_json(tmp_path / DOCUMENT_FILE), "format": 0})
    with pytest.raises(PromotionRefused, match="another version of Oarlock built it"):
        load_bundle(tmp_path, bundle.kernel)


def test_a_broken_champion_bundle_gives_no_risk(trained: TrainedModel, state):
    sync_champion(state, open_registry(state, trained.settings.name))
    (bundle_folder(state, 1) / ARRAYS_FILE).write_bytes(b"")
    with pytest.raises(PromotionRefused, match="cannot be loaded"):
        ChampionProvider(state, trained.settings.name).champion()
