"""The driver kernel: its shares of the margin equal LightGBM's, for every kind of booster that is trained."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import lightgbm
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from llvmlite.binding import parse_assembly

from serving.treeshap.compile import link
from serving.treeshap.kernel import BLOCK_ROWS, OBJECT, ZERO_LIMIT, Kernel, compiled_file
from serving.treeshap.lightgbm_parser import UnsupportedBooster, read_trees
from tests.support.paths import ROOT

EXACT = 1e-9
ROWS, SIGNALS, CATEGORY = 600, 8, 5
EMPTY_FUNCTION = "define void @nothing() { ret void }"
needs_linker = pytest.mark.skipif(not shutil.which("ld"), reason="it needs a linker")


@pytest.fixture(scope="module")
def kernel(tmp_path_factory) -> Kernel:
    return Kernel(tmp_path_factory.mktemp("compiled"))


def _matrix(rows: int = ROWS, seed: int = 0, missing: float = 0.2) -> np.ndarray:
    generator = np.random.default_rng(seed)
    matrix = generator.normal(size=(rows, SIGNALS)).round(1)
    matrix[:, CATEGORY] = generator.integers(0, 70, rows)
    matrix[generator.random(matrix.shape) < 0.1] = 0.0
    matrix[generator.random(matrix.shape) < missing] = np.nan
    return matrix


def _churned(matrix: np.ndarray) -> np.ndarray:
    filled = np.nan_to_num(matrix, nan=-0.7)
    return (filled[:, 0] * filled[:, 1] + (filled[:, CATEGORY] % 3 == 0) + np.isnan(matrix[:, 2]) > 0.5).astype(float)


def _booster(matrix: np.ndarray, trees: int = 20, **parameters) -> lightgbm.Booster:
    defaults = {"objective": "binary", "num_leaves": 31, "min_data_in_leaf": 3, "verbose": -1, "num_threads": 1}
    defaults |= {"min_data_per_group": 2, "cat_smooth": 1.0, "seed": 1}
    categories = [CATEGORY] if "linear_tree" not in parameters else "auto"
    parameters = defaults | parameters
    data = lightgbm.Dataset(matrix, _churned(matrix), categorical_feature=categories, params=parameters)
    return lightgbm.train(parameters, data, num_boost_round=trees)


def _max_difference(kernel: Kernel, booster: lightgbm.Booster, matrix: np.ndarray) -> float:
    """The largest difference to LightGBM's contributions, the mean margin included."""
    trees = read_trees(booster.model_to_string(num_iteration=-1))
    contributions = np.asarray(booster.predict(matrix, pred_contrib=True, num_threads=1))
    base_difference = abs(trees.expected_margin[0] - contributions[0, -1])
    return max(base_difference, np.abs(kernel.shares(trees, matrix) - contributions[:, :-1]).max())


@pytest.mark.parametrize(
    "parameters",
    [
        {},
        {"num_leaves": 2},
        {"num_leaves": 4},
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
    ids=lambda parameters: ",".join(parameters) or "plain",
)
def test_the_shares_equal_lightgbms(kernel, parameters):
    booster = _booster(_matrix(), **parameters)
    assert _max_difference(kernel, booster, _matrix(seed=1)) < EXACT
    assert _max_difference(kernel, booster, _matrix(1, seed=2)) < EXACT


def test_contributions_are_exact_on_deep_paths(kernel):
    generator = np.random.default_rng(3)
    matrix = generator.normal(size=(2000, 24))
    churned = (np.abs(matrix).max(axis=1) > 2.2).astype(float)
    parameters = {"objective": "binary", "num_leaves": 200, "min_data_in_leaf": 1, "verbose": -1, "num_threads": 1}
    booster = lightgbm.train(parameters, lightgbm.Dataset(matrix, churned), num_boost_round=10)
    trees, rows = read_trees(booster.model_to_string()), generator.normal(size=(200, 24))
    assert 2 * trees.point_counts.max() >= 24  # a path splits on every signal
    margins = booster.predict(rows, raw_score=True)
    contributions = np.asarray(booster.predict(rows, pred_contrib=True))
    shares = kernel.shares(trees, rows)
    assert np.abs(trees.expected_margin[0] + shares.sum(axis=1) - margins).max() < 1e-12
    # Unwinding a path loses digits that multiplying does not: LightGBM's own contributions miss their sum.
    assert 1e-9 < np.abs(contributions.sum(axis=1) - margins).max() < 1e-7
    assert np.abs(shares - contributions[:, :-1]).max() < 1e-7
    assert np.array_equal(kernel.shares(trees, rows[:1])[0], shares[0])


def test_a_tree_of_one_leaf_moves_only_the_mean(kernel):
    matrix, parameters = _matrix(), {"objective": "binary", "min_data_in_leaf": ROWS, "verbose": -1}
    booster = lightgbm.train(parameters, lightgbm.Dataset(matrix, _churned(matrix)), 3)
    assert _max_difference(kernel, booster, matrix) < EXACT


def test_a_child_that_no_training_row_reached_is_exact(kernel):
    """The counts of a booster that was fitted to other rows may be 0 where a row goes all the same."""
    text = _booster(_matrix(), trees=1, num_leaves=4).model_to_string()
    start = text.index("leaf_count=") + len("leaf_count=")
    end = text.index("\n", start)
    text = text[:start] + " ".join(["0", *text[start:end].split()[1:]]) + text[end:]
    trees = read_trees(text)
    margins = lightgbm.Booster(model_str=text).predict(_matrix(), raw_score=True)
    shares = kernel.shares(trees, _matrix())
    assert np.isfinite(shares).all()
    assert np.abs(trees.expected_margin[0] + shares.sum(axis=1) - margins).max() < EXACT


@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    seed=st.integers(0, 1000),
    leaves=st.integers(2, 40),
    missing=st.floats(0, 0.9),
    parameters=st.sampled_from([{}, {"use_missing": False}, {"zero_as_missing": True}]),
)
def test_the_shares_of_any_booster_equal_lightgbms(kernel, seed, leaves, missing, parameters):
    booster = _booster(_matrix(200, seed, missing), trees=3, num_leaves=leaves, **parameters)
    assert _max_difference(kernel, booster, _matrix(40, seed + 1, missing)) < EXACT


SMALL_VALUES = [0.0, 1e-36, ZERO_LIMIT, 2e-35]
EDGE_VALUES = [np.nan, *SMALL_VALUES, *(-value for value in SMALL_VALUES), np.inf, -np.inf, -0.5, -1, 31, 32.9, 1e12]


@pytest.mark.parametrize("value", EDGE_VALUES)
@pytest.mark.parametrize("parameters", [{}, {"use_missing": False}, {"zero_as_missing": True}], ids=str)
def test_edge_values_take_the_same_path_as_in_lightgbm(kernel, value, parameters):
    booster = _booster(_matrix(), trees=5, **parameters)
    assert _max_difference(kernel, booster, np.full((2, SIGNALS), value)) < EXACT


def test_the_shares_of_a_row_do_not_depend_on_its_block(kernel):
    trees, matrix = read_trees(_booster(_matrix()).model_to_string()), _matrix(BLOCK_ROWS + 70, seed=4)
    shares = kernel.shares(trees, matrix)
    assert np.array_equal(kernel.shares(trees, matrix, threads=2), shares)
    for row in (0, 63, 64, BLOCK_ROWS, BLOCK_ROWS + 69):
        assert np.array_equal(kernel.shares(trees, matrix[row : row + 1])[0], shares[row])


def test_models_of_different_sizes_share_one_kernel(kernel):
    matrix = _matrix(3, seed=4)
    small, large = (read_trees(_booster(_matrix(), num_leaves=n).model_to_string()) for n in (2, 63))
    first = kernel.shares(small, matrix)
    kernel.shares(large, matrix)
    assert np.array_equal(kernel.shares(small, matrix), first)


@pytest.mark.slow
def test_llvm_loads_the_machine_code_without_a_linker(kernel, tmp_path):
    command = [sys.executable, "-m", "serving.treeshap.compile", str(tmp_path / "walk")]
    environment = {**os.environ, "PATH": ""}
    ended = subprocess.run(command, check=True, cwd=ROOT, env=environment, capture_output=True, text=True)
    file = Path(ended.stdout)
    assert file == tmp_path / f"walk{OBJECT}"
    trees, matrix = read_trees(_booster(_matrix()).model_to_string()), _matrix(70, seed=4)
    assert np.array_equal(Kernel(tmp_path, file).shares(trees, matrix), kernel.shares(trees, matrix))


def test_a_linker_that_fails_leaves_no_file(tmp_path):
    linker = tmp_path / "ld"
    linker.write_text("#!/bin/sh\nexit 1\n")
    linker.chmod(0o755)
    assert not link(parse_assembly(EMPTY_FUNCTION), str(linker), tmp_path / "walk.so")
    assert list(tmp_path.iterdir()) == [linker]


@needs_linker
def test_a_library_is_linked_into_a_new_folder(tmp_path):
    library = tmp_path / "new/walk.so"
    assert link(parse_assembly(EMPTY_FUNCTION), "ld", library)
    assert list(library.parent.iterdir()) == [library]


@needs_linker
@pytest.mark.usefixtures("kernel")
def test_a_linked_kernel_needs_neither_numba_nor_llvm():
    code = "import sys; from pathlib import Path; from serving.treeshap.kernel import Kernel; Kernel(Path())"
    command = [sys.executable, "-c", f"{code}; print(*sys.modules)"]
    ended = subprocess.run(command, check=True, cwd=ROOT, capture_output=True, text=True)
    assert not {"llvmlite", "numba"} & set(ended.stdout.split())


def test_truncated_machine_code_is_compiled_again(kernel, tmp_path, monkeypatch):
    truncated = tmp_path / "truncated.so"
    truncated.write_bytes(b"")
    complete = compiled_file(tmp_path)
    monkeypatch.setattr(
        "serving.treeshap.kernel.compiled_file", lambda _: truncated if truncated.exists() else complete
    )
    trees, matrix = read_trees(_booster(_matrix()).model_to_string()), _matrix(70, seed=4)
    assert np.array_equal(Kernel(tmp_path).shares(trees, matrix), kernel.shares(trees, matrix))
    assert not truncated.exists()


def test_no_rows_have_no_shares(kernel):
    trees = read_trees(_booster(_matrix()).model_to_string())
    assert kernel.shares(trees, np.empty((0, SIGNALS))).shape == (0, SIGNALS)


@pytest.mark.parametrize(
    ("parameters", "reason"),
    [
        ({"boosting": "rf", "bagging_freq": 1, "bagging_fraction": 0.5}, "averages"),
        ({"linear_tree": True}, "linear"),
    ],
)
def test_an_unsupported_booster_is_refused(parameters, reason):
    with pytest.raises(UnsupportedBooster, match=reason):
        read_trees(_booster(_matrix(missing=0.0), **parameters).model_to_string())
