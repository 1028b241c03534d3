"""The driver kernel compared with LightGBM's pred_contrib and shap's TreeExplainer: CPU per row, and the difference.

    python -m benchmarks.serving.treeshap [--models 120x4 600x4 500x15 500x31 500x63] [--rows 1 100 1000 10000]

A model is trees x leaves. The default settings come first: 120 trees of 4 leaves are what the shipped company needs,
600 are the most. The three are timed in turns. CPU is that of the whole process, so threads pay for themselves.
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

SIGNALS, CATEGORY, TRAINING_ROWS = 230, 5, 5_000
MAX_SLOW_ROWS = 100  # pred_contrib and shap are timed on at most so many rows
ROUNDS = 5
MIN_SECONDS = 0.02
COLUMNS = ("model", "rows", "threads", "kernel us", "pred_contrib us", "ratio", "shap us", "ratio", "difference")


def main() -> None:
    """Fit a booster of each size and time all three on the same rows."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--models", nargs="+", default=["120x4", "600x4", "500x15", "500x31", "500x63"])
    parser.add_argument("--rows", type=int, nargs="+", default=[1, 100, 1_000, 10_000])
    parser.add_argument("--threads", type=int, nargs="+", default=[1])
    arguments = parser.parse_args()
    table = Table(title=f"CPU per row, {SIGNALS} signals; ratios to the kernel")
    for column in COLUMNS:
        table.add_column(column, justify="right")
    with tempfile.TemporaryDirectory() as folder:
        kernel = Kernel(Path(folder))
        for model in arguments.models:
            booster = _fit(*map(int, model.split("x")))
            for rows in arguments.rows:
                for threads in arguments.threads:
                    table.add_row(model, f"{rows:,}", str(threads), *_compare(kernel, booster, rows, threads))
    Console(width=120).print(table)


def _matrix(rows: int, seed: int) -> np.ndarray:
    generator = np.random.default_rng(seed)
    matrix = generator.normal(size=(rows, SIGNALS))
    matrix[:, CATEGORY] = generator.integers(0, 40, rows)
    matrix[generator.random(matrix.shape) < 0.1] = np.nan
    return matrix


def _fit(trees: int, leaves: int) -> lightgbm.Booster:
    matrix = _matrix(TRAINING_ROWS, 0)
    filled, noise = np.nan_to_num(matrix), np.random.default_rng(1).normal(size=TRAINING_ROWS)
    churned = filled[:, 0] * filled[:, 1] + (filled[:, CATEGORY] % 3 == 0) + noise > 0.5
    parameters = {"objective": "binary", "num_leaves": leaves, "learning_rate": 0.03, "verbose": -1, "num_threads": 1}
    data = lightgbm.Dataset(matrix, churned.astype(float), categorical_feature=[CATEGORY])
    return lightgbm.train(parameters, data, num_boost_round=trees)


def _compare(kernel: Kernel, booster: lightgbm.Booster, rows: int, threads: int) -> list[str]:
    trees, matrix = read_trees(booster.model_to_string()), _matrix(rows, 2)
    sample, explainer = matrix[:MAX_SLOW_ROWS], shap.TreeExplainer(booster)
    contributions = np.asarray(booster.predict(sample, pred_contrib=True, num_threads=threads))[:, :-1]
    difference = np.abs(kernel.shares(trees, sample, threads) - contributions).max()
    own, contrib, explained = _interleave(
        (lambda: kernel.shares(trees, matrix, threads), rows),
        (lambda: booster.predict(sample, pred_contrib=True, num_threads=threads), len(sample)),
        (lambda: explainer.shap_values(sample), len(sample)),
    )
    ratios = f"{contrib / own:.1f}", f"{explained / own:.1f}"
    return [f"{own:.1f}", f"{contrib:.0f}", ratios[0], f"{explained:.0f}", ratios[1], f"{difference:.0e}"]


def _interleave(*runs: tuple[Callable[[], object], int]) -> list[float]:
    """Microseconds of CPU per row of each, the best of some rounds."""
    best = [float("inf")] * len(runs)
    for _ in range(ROUNDS):
        for index, (run, rows) in enumerate(runs):
            best[index] = min(best[index], _cpu_seconds(run) / rows * 1e6)
    return best


def _cpu_seconds(run: Callable[[], object]) -> float:
    """CPU seconds of one run, the mean of as many as take long enough to be measured."""
    start, count = time.process_time(), 0
    while time.process_time() - start < MIN_SECONDS:
        run()
        count += 1
    return (time.process_time() - start) / count


if __name__ == "__main__":
    main()
