"""The bundle and its pointer: what a worker loads is what was promoted, or it is refused and the one before stays."""

import dataclasses
import json
import shutil

import numpy as np
import pytest

from configs.errors import NoChampion, PromotionRefused
from configs.files import read_json, write_json
from configs.state_dir import State
from serving.scoring.champion_pointer import (
    bundle_folder,
    prepare_bundle,
    read_pointer,
    rebuild_outdated_bundle,
    sync_champion,
)
from serving.scoring.model_bundle import ARRAYS_FILE, DOCUMENT_FILE, ModelBundle, load_bundle, make_bundle, save_bundle
from serving.scoring.scorer import Scorer
from serving.treeshap.kernel import Kernel
from serving.treeshap.lightgbm_parser import NotExact, read_trees
from tests.conftest import EXTRACT_ENDS
from training.model.churn_model import ChurnModel
from training.registry.mlflow_registry import open_registry
from training.registry.version import CHAMPION

EXACT = 1e-9


@pytest.fixture(scope="module")
def model(trained) -> ChurnModel:
    registry = open_registry(trained.state, trained.settings.name)
    return registry.load(registry.champion())


@pytest.fixture(scope="module")
def bundle(model, trained) -> ModelBundle:
    return make_bundle(model, Kernel(trained.state.compiled))


@pytest.fixture
def state(trained, tmp_path) -> State:
    """A state of its own that shares the registry."""
    (tmp_path / "mlflow").symlink_to(trained.state.mlflow)
    return State(tmp_path)


def test_it_gives_the_risks_of_the_model(bundle, model):
    matrix = np.random.default_rng(0).normal(size=(50, len(model.inputs)))
    assert np.abs(bundle.risks_within(matrix) - model.risks_within(matrix)).max() < EXACT
    assert np.abs(bundle.contributions(matrix) - model.contributions(matrix)).max() < EXACT


def test_what_was_saved_is_what_is_loaded(bundle, tmp_path):
    save_bundle(bundle, tmp_path)
    loaded = load_bundle(tmp_path, bundle.kernel)
    assert (loaded.inputs, loaded.calibrator, loaded.label) == (bundle.inputs, bundle.calibrator, dict(bundle.label))
    assert np.array_equal(loaded.risks(bundle.smoke_matrix), bundle.risks(bundle.smoke_matrix))


def test_a_booster_that_the_kernel_is_not_for_is_asked_itself(model, trained, tmp_path):
    kernel = Kernel(trained.state.compiled)
    # LightGBM reads past what it does not know; to the kernel this is a forest whose trees are averaged.
    forest = dataclasses.replace(model, booster_text=model.booster_text.replace("tree\n", "tree\naverage_output\n", 1))
    made = make_bundle(model, kernel)
    own = dataclasses.replace(made, trees=None, booster_text=model.booster_text)
    save_bundle(own, tmp_path)
    loaded = load_bundle(tmp_path, kernel)
    assert np.abs(loaded.contributions(made.smoke_matrix) - made.contributions(made.smoke_matrix)).max() < EXACT
    with pytest.raises(NotExact, match="averages"):
        read_trees(forest.booster_text)


def test_a_bundle_whose_shares_are_not_the_boosters_is_refused(model, trained):
    other = dataclasses.replace(model, base_margin=model.base_margin + 1e-6)
    with pytest.raises(PromotionRefused, match="differ from the booster's"):
        make_bundle(other, Kernel(trained.state.compiled))


@pytest.mark.parametrize("file", [ARRAYS_FILE, DOCUMENT_FILE])
def test_a_bundle_that_is_cut_short_is_refused(bundle, tmp_path, file):
    save_bundle(bundle, tmp_path)
    content = (tmp_path / file).read_bytes()
    (tmp_path / file).write_bytes(content[: len(content) // 2])
    with pytest.raises(PromotionRefused, match="cannot be read"):
        load_bundle(tmp_path, bundle.kernel)


def test_a_bundle_that_gives_other_risks_is_refused(bundle, tmp_path):
    save_bundle(bundle, tmp_path)
    document = json.loads((tmp_path / DOCUMENT_FILE).read_text())
    write_json(tmp_path / DOCUMENT_FILE, {**document, "base_margin": document["base_margin"] + 0.1})
    with pytest.raises(PromotionRefused, match="does not give its sample the risks"):
        load_bundle(tmp_path, bundle.kernel)


def test_the_pointer_follows_the_alias_there_and_away(trained, state):
    registry = open_registry(state, trained.settings.name)
    assert sync_champion(state, registry) == read_pointer(state).version
    registry.client.delete_registered_model_alias(registry.name, CHAMPION)
    try:
        assert sync_champion(state, registry) is None
        with pytest.raises(NoChampion):
            read_pointer(state)
    finally:
        registry.client.set_registered_model_alias(registry.name, CHAMPION, "1")


def test_the_bundle_is_stored_with_the_version(trained, state):
    registry = open_registry(state, trained.settings.name)
    made = (prepare_bundle(state, registry, registry.champion()) / ARRAYS_FILE).read_bytes()
    shutil.rmtree(state.bundles)
    assert (prepare_bundle(state, registry, registry.champion()) / ARRAYS_FILE).read_bytes() == made


def test_an_engine_takes_up_what_the_pointer_says_and_keeps_it_where_that_is_bad(trained, state):
    registry = open_registry(state, trained.settings.name)
    version = sync_champion(state, registry)
    engine = Scorer(trained.settings, state, lambda: EXTRACT_ENDS)
    good = engine.refresh()
    assert good.version == version
    shutil.copytree(bundle_folder(state, 1), bundle_folder(state, 2))
    document = read_json(bundle_folder(state, 2) / DOCUMENT_FILE)
    write_json(bundle_folder(state, 2) / DOCUMENT_FILE, {**document, "base_margin": 0.0})
    write_json(state.champion, {"version": {**vars(version), "number": 2}, "folder": bundle_folder(state, 2).name})
    assert engine.refresh() is good
    assert engine.refused is not None
    assert (engine.refused["version"], "risks it was made with" in engine.refused["reason"]) == (2, True)
    write_json(state.champion, {"version": vars(version), "folder": bundle_folder(state, 1).name})
    assert engine.refresh() is good
    assert engine.refused is None


def test_a_bundle_of_another_version_of_oarlock_is_made_anew_for_a_batch(trained, state):
    version = sync_champion(state, open_registry(state, trained.settings.name))
    bundle_folder(state, 1).rename(state.bundles / "1-0")
    write_json(state.champion, {"version": vars(version), "folder": "1-0"})
    rebuild_outdated_bundle(state, open_registry(state, trained.settings.name))
    assert Scorer(trained.settings, state, lambda: EXTRACT_ENDS).champion().version == version


def test_it_says_that_another_version_of_oarlock_made_a_bundle(bundle, tmp_path):
    save_bundle(bundle, tmp_path)
    write_json(tmp_path / DOCUMENT_FILE, {**read_json(tmp_path / DOCUMENT_FILE), "format": 0})
    with pytest.raises(PromotionRefused, match="another version of Oarlock made it"):
        load_bundle(tmp_path, bundle.kernel)


def test_a_champion_that_is_bad_from_the_start_gives_no_risk(trained, state):
    sync_champion(state, open_registry(state, trained.settings.name))
    (bundle_folder(state, 1) / ARRAYS_FILE).write_bytes(b"")
    with pytest.raises(PromotionRefused, match="cannot be scored"):
        Scorer(trained.settings, state, lambda: EXTRACT_ENDS).champion()
