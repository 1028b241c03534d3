"""The driver kernel against LightGBM's pred_contrib and shap's TreeExplainer: CPU a row, and how far they differ.

    python benchmarks/serving/treeshap.py [--leaves 15 31 63] [--trees 500] [--rows 1 100 10000 100000]

CPU seconds are of the whole process, so that threads pay for themselves; the slow ones are asked for fewer rows.
"""

import argparse
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import lightgbm
import numpy as np
import shap
from rich.console import Console
from rich.table import Table

from serving.treeshap.kernel import Kernel
from serving.treeshap.lightgbm_parser import read_trees

SIGNALS, CATEGORY, LEARNED = 60, 5, 20_000
MOST_ASKED = 1_000  # rows that the slow ones are timed on


def main() -> None:
    """Fit a booster per number of leaves and time all three on the same rows."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--leaves", type=int, nargs="+", default=[15, 31, 63])
    parser.add_argument("--trees", type=int, default=500)
    parser.add_argument("--rows", type=int, nargs="+", default=[1, 100, 10_000, 100_000])
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2])
    arguments = parser.parse_args()
    table = Table(title=f"{arguments.trees} trees, {SIGNALS} signals: CPU ms a row, and ratios to the kernel")
    names = ("leaves", "rows", "threads", "kernel", "wall", "pred_contrib", "ratio", "shap", "ratio", "differs by")
    for column in names:
        table.add_column(column, justify="right")
    with tempfile.TemporaryDirectory() as folder:
        kernel = Kernel(Path(folder))
        for leaves in arguments.leaves:
            booster = _booster(leaves, arguments.trees)
            for rows in arguments.rows:
                for threads in arguments.threads if rows > 1 else [1]:
                    table.add_row(str(leaves), f"{rows:,}", str(threads), *_timed(kernel, booster, rows, threads))
    Console(width=120).print(table)


def _matrix(rows: int, seed: int) -> np.ndarray:
    draw = np.random.default_rng(seed)
    matrix = draw.normal(size=(rows, SIGNALS))
    matrix[:, CATEGORY] = draw.integers(0, 40, rows)
    matrix[draw.random(matrix.shape) < 0.1] = np.nan
    return matrix


def _booster(leaves: int, trees: int) -> lightgbm.Booster:
    matrix = _matrix(LEARNED, 0)
    filled = np.nan_to_num(matrix)
    noise = np.random.default_rng(1).normal(size=LEARNED)
    churned = filled[:, 0] * filled[:, 1] + (filled[:, CATEGORY] % 3 == 0) + noise > 0.5
    parameters = {"objective": "binary", "num_leaves": leaves, "verbose": -1, "num_threads": 1}
    data = lightgbm.Dataset(matrix, churned.astype(float), categorical_feature=[CATEGORY])
    return lightgbm.train(parameters, data, num_boost_round=trees)


def _timed(kernel: Kernel, booster: lightgbm.Booster, rows: int, threads: int) -> list[str]:
    trees, matrix = read_trees(booster.model_to_string()), _matrix(rows, 2)
    sample = matrix[:MOST_ASKED]
    own = np.asarray(booster.predict(sample, pred_contrib=True, num_threads=threads))[:, :-1]
    differs = np.abs(kernel.shares(trees, sample, threads) - own).max()
    kernel_cost, wall = _cost(lambda: kernel.shares(trees, matrix, threads), rows)
    contrib_cost, _ = _cost(lambda: booster.predict(sample, pred_contrib=True, num_threads=threads), len(sample))
    explainer = shap.TreeExplainer(booster)
    shaps, _ = _cost(lambda: explainer.shap_values(sample), len(sample)) if threads == 1 else (float("nan"), 0)
    figures = [f"{kernel_cost:.4f}", f"{wall:.4f}", f"{contrib_cost:.3f}", f"{contrib_cost / kernel_cost:.1f}"]
    return [*figures, f"{shaps:.3f}", f"{shaps / kernel_cost:.1f}", f"{differs:.0e}"]


def _cost(run: Callable[[], object], rows: int) -> tuple[float, float]:
    """CPU and wall milliseconds a row, the best of some runs that take long enough to be told."""
    run()
    best, fastest, spent = float("inf"), float("inf"), 0.0
    repeats = max(1, 30 // rows)
    while spent < 0.5:
        cpu, wall = time.process_time(), time.perf_counter()
        for _ in range(repeats):
            run()
        cpu, wall = time.process_time() - cpu, time.perf_counter() - wall
        best, fastest, spent = min(best, cpu), min(fastest, wall), spent + cpu
    return best * 1000 / rows / repeats, fastest * 1000 / rows / repeats


if __name__ == "__main__":
    main()
