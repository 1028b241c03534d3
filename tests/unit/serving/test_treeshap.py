"""The driver kernel: LightGBM's own shares of the margin, on every shape of booster that we train, and faster."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import lightgbm
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as some
from llvmlite.binding import parse_assembly

from serving.treeshap.compile import linked
from serving.treeshap.kernel import ALONE, OBJECT, SMALLEST, STRETCH, Kernel, compiled
from serving.treeshap.lightgbm_parser import NotExact, read_trees
from tests.support.paths import ROOT

EXACT = 1e-9
ROWS, SIGNALS, CATEGORY = 600, 8, 5
NOTHING = "define void @nothing() { ret void }"


@pytest.fixture(scope="module")
def kernel(tmp_path_factory) -> Kernel:
    return Kernel(tmp_path_factory.mktemp("compiled"))


def _matrix(rows: int = ROWS, seed: int = 0, gaps: float = 0.2) -> np.ndarray:
    draw = np.random.default_rng(seed)
    matrix = draw.normal(size=(rows, SIGNALS)).round(1)
    matrix[:, CATEGORY] = draw.integers(0, 70, rows)
    matrix[draw.random(matrix.shape) < 0.1] = 0.0
    matrix[draw.random(matrix.shape) < gaps] = np.nan
    return matrix


def _churned(matrix: np.ndarray) -> np.ndarray:
    known = np.nan_to_num(matrix, nan=-0.7)
    return (known[:, 0] * known[:, 1] + (known[:, CATEGORY] % 3 == 0) + np.isnan(matrix[:, 2]) > 0.5).astype(float)


def _booster(matrix: np.ndarray, trees: int = 20, **more) -> lightgbm.Booster:
    asked = {"objective": "binary", "num_leaves": 31, "min_data_in_leaf": 3, "verbose": -1, "num_threads": 1, **more}
    asked |= {"min_data_per_group": 2, "cat_smooth": 1.0, "seed": 1}
    categories = [CATEGORY] if "linear_tree" not in more else "auto"
    data = lightgbm.Dataset(matrix, _churned(matrix), categorical_feature=categories, params=asked)
    return lightgbm.train(asked, data, num_boost_round=trees)


def _furthest(kernel: Kernel, booster: lightgbm.Booster, matrix: np.ndarray) -> float:
    """The largest difference to LightGBM's own contributions, the mean margin among them."""
    trees = read_trees(booster.model_to_string(num_iteration=-1))
    own = np.asarray(booster.predict(matrix, pred_contrib=True, num_threads=1))
    base = abs(trees.expected[0] - own[0, -1])
    return max(base, np.abs(kernel.shares(trees, matrix) - own[:, :-1]).max())


@pytest.mark.parametrize(
    "more",
    [
        {},
        {"num_leaves": 2},
        {"num_leaves": 7},
        {"num_leaves": 63, "min_data_in_leaf": 1},
        {"use_missing": False},
        {"zero_as_missing": True},
        {"max_cat_to_onehot": 100},
        {"bagging_fraction": 0.5, "bagging_freq": 1, "feature_fraction": 0.4, "lambda_l2": 10.0},
        {"monotone_constraints": [1, -1, 0, 0, 0, 0, 0, 0]},
        {"min_data_in_leaf": 0, "min_sum_hessian_in_leaf": 0.0, "num_leaves": 127},
        {"data_sample_strategy": "goss"},
        {"boosting": "dart"},
    ],
    ids=lambda more: ",".join(more) or "plain",
)
def test_the_shares_are_lightgbms_own(kernel, more):
    booster = _booster(_matrix(), **more)
    assert _furthest(kernel, booster, _matrix(seed=1)) < EXACT
    assert _furthest(kernel, booster, _matrix(ALONE, seed=2)) < EXACT


def test_it_stays_exact_on_deep_paths_where_lightgbms_own_drifts(kernel):
    draw = np.random.default_rng(3)
    matrix = draw.normal(size=(2000, 24))
    churned = (np.abs(matrix).max(axis=1) > 2.2).astype(float)
    asked = {"objective": "binary", "num_leaves": 200, "min_data_in_leaf": 1, "verbose": -1, "num_threads": 1}
    booster = lightgbm.train(asked, lightgbm.Dataset(matrix, churned), num_boost_round=10)
    trees, rows = read_trees(booster.model_to_string()), draw.normal(size=(200, 24))
    assert 2 * trees.degrees.max() >= 24  # a path asks every signal
    margins, own = booster.predict(rows, raw_score=True), np.asarray(booster.predict(rows, pred_contrib=True))
    ours = trees.expected[0] + kernel.shares(trees, rows).sum(axis=1)
    assert np.abs(ours - margins).max() < 1e-12
    # Unwinding a path loses digits that multiplying does not: LightGBM's own miss their sum, and ours by as much.
    assert 1e-9 < np.abs(own.sum(axis=1) - margins).max() < 1e-7
    assert np.abs(kernel.shares(trees, rows) - own[:, :-1]).max() < 1e-7
    assert np.array_equal(kernel.shares(trees, rows[:1])[0], kernel.shares(trees, rows)[0])


def test_a_tree_of_one_leaf_moves_the_mean_only(kernel):
    matrix = _matrix()
    booster = lightgbm.train(
        {"objective": "binary", "min_data_in_leaf": ROWS, "verbose": -1}, lightgbm.Dataset(matrix, _churned(matrix)), 3
    )
    assert _furthest(kernel, booster, matrix) < EXACT


def test_a_child_that_no_training_row_reached_is_exact(kernel):
    """Counts of a booster that was fitted to other rows may be 0 where a row goes all the same."""
    text = _booster(_matrix(), trees=1, num_leaves=4).model_to_string()
    start = text.index("leaf_count=") + len("leaf_count=")
    counts = text[start : text.index("\n", start)].split()
    text = text[:start] + " ".join(["0", *counts[1:]]) + text[text.index("\n", start) :]
    trees = read_trees(text)
    margins = lightgbm.Booster(model_str=text).predict(_matrix(), raw_score=True)
    shares = kernel.shares(trees, _matrix())
    assert np.isfinite(shares).all()
    # Rows that reach the leaf of value v have it in their margin, so the shares still add up but for its missing mean.
    assert np.abs(trees.expected[0] + shares.sum(axis=1) - margins).max() < EXACT


@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    seed=some.integers(0, 1000),
    leaves=some.integers(2, 40),
    gaps=some.floats(0, 0.9),
    missing=some.sampled_from([{}, {"use_missing": False}, {"zero_as_missing": True}]),
)
def test_any_booster_gives_lightgbms_own_shares(kernel, seed, leaves, gaps, missing):
    booster = _booster(_matrix(200, seed, gaps), trees=3, num_leaves=leaves, **missing)
    assert _furthest(kernel, booster, _matrix(40, seed + 1, gaps)) < EXACT


@pytest.mark.parametrize(
    "value",
    [
        np.nan,
        0.0,
        -0.0,
        1e-36,
        -1e-36,
        SMALLEST,
        -SMALLEST,
        2e-35,
        -2e-35,
        np.inf,
        -np.inf,
        -0.5,
        -1.0,
        31.0,
        32.9,
        1e12,
    ],
)
def test_odd_values_go_where_lightgbm_sends_them(kernel, value):
    for missing in ({}, {"use_missing": False}, {"zero_as_missing": True}):
        assert _furthest(kernel, _booster(_matrix(), trees=5, **missing), np.full((2, SIGNALS), value)) < EXACT


def test_a_row_alone_has_the_very_bits_it_has_among_many(kernel):
    trees, matrix = read_trees(_booster(_matrix()).model_to_string()), _matrix(STRETCH + 70, seed=4)
    together = kernel.shares(trees, matrix)
    assert np.array_equal(kernel.shares(trees, matrix, threads=2), together)
    for row in (0, 63, 64, STRETCH, STRETCH + 69):
        assert np.array_equal(kernel.shares(trees, matrix[row : row + 1])[0], together[row])


def test_where_nothing_links_machine_code_it_is_loaded_by_llvm(kernel, tmp_path):
    command = [sys.executable, "-m", "serving.treeshap.compile", str(tmp_path / "walk")]
    told = subprocess.run(command, check=True, cwd=ROOT, env={**os.environ, "PATH": ""}, capture_output=True, text=True)
    file = Path(told.stdout)
    assert file == tmp_path / f"walk{OBJECT}"
    trees, matrix = read_trees(_booster(_matrix()).model_to_string()), _matrix(70, seed=4)
    assert np.array_equal(Kernel(tmp_path, file).shares(trees, matrix), kernel.shares(trees, matrix))


def test_a_linker_that_fails_leaves_nothing_behind(tmp_path):
    bad = tmp_path / "ld"
    bad.write_text("#!/bin/sh\nexit 1\n")
    bad.chmod(0o755)
    assert not linked(parse_assembly(NOTHING), str(bad), tmp_path / "walk.so")
    assert list(tmp_path.iterdir()) == [bad]


@pytest.mark.skipif(not shutil.which("ld"), reason="it needs a linker")
def test_a_library_is_linked_into_a_folder_that_is_not_there_yet(tmp_path):
    library = tmp_path / "new/walk.so"
    assert linked(parse_assembly(NOTHING), "ld", library)
    assert list(library.parent.iterdir()) == [library]


@pytest.mark.skipif(not shutil.which("ld"), reason="it needs a linker")
@pytest.mark.usefixtures("kernel")
def test_a_linked_kernel_spares_a_process_llvm():
    code = (
        "import sys; from pathlib import Path; from serving.kernel import Kernel; Kernel(Path()); print(*sys.modules)"
    )
    told = subprocess.run([sys.executable, "-c", code], check=True, cwd=ROOT, capture_output=True, text=True)
    assert not {"llvmlite", "numba"} & set(told.stdout.split())


def test_machine_code_that_was_cut_short_is_made_anew(kernel, tmp_path, monkeypatch):
    short = tmp_path / "short.so"
    short.write_bytes(b"")
    whole = compiled(tmp_path)
    monkeypatch.setattr("serving.treeshap.kernel.compiled", lambda _: short if short.exists() else whole)
    trees, matrix = read_trees(_booster(_matrix()).model_to_string()), _matrix(70, seed=4)
    assert np.array_equal(Kernel(tmp_path).shares(trees, matrix), kernel.shares(trees, matrix))
    assert not short.exists()


def test_no_rows_have_no_shares(kernel):
    assert kernel.shares(read_trees(_booster(_matrix()).model_to_string()), np.empty((0, SIGNALS))).shape == (
        0,
        SIGNALS,
    )


@pytest.mark.parametrize(
    ("more", "why"),
    [
        ({"boosting": "rf", "bagging_freq": 1, "bagging_fraction": 0.5}, "averages"),
        ({"linear_tree": True}, "linear"),
    ],
)
def test_it_refuses_what_it_would_get_wrong(more, why):
    with pytest.raises(NotExact, match=why):
        read_trees(_booster(_matrix(gaps=0.0), **more).model_to_string())
