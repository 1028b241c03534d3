"""Simulated companies that many are measured of: published, with their truth, two at a time."""

import multiprocessing
import sys
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import numpy as np
import pandas as pd
from scipy.special import xlogy

from benchmarks.accuracy.datasets import simulated_history
from benchmarks.accuracy.oracle import read_truth, with_truth
from configs.settings import Settings
from configs.state_dir import open_state_dir
from features.simulator.model.parameters import Company
from features.store.history import complete_days
from features.store.history_reader import read_history_frame
from features.tables.dataset import read_dataset
from training.data.training_set import TrainingSet, build_training_set
from training.labels.definition import describe_label, supported_horizons
from training.model.fit import FitConfig

WORKERS = 2
Task = TypeVar("Task")
Result = TypeVar("Result")


@dataclass(frozen=True)
class History:
    """A published company: its settings, its labelled snapshots, those of the newest day, and the true risks."""

    settings: Settings
    training_set: TrainingSet
    newest: pd.DataFrame
    truth: pd.DataFrame

    @property
    def fit_config(self) -> FitConfig:
        label = self.settings.label
        horizons = supported_horizons(label)[0]
        return FitConfig(self.training_set.history.signals, self.settings.training, describe_label(label), {}, horizons)


def publish_company(company: Company, scratch: Path) -> History:
    """A simulated company in `scratch`, with every day published."""
    settings = simulated_history(company, scratch, lambda _: None)
    ends = read_dataset(settings.data).observed_until
    assert ends is not None
    training_set = build_training_set(settings, open_state_dir(settings), ends)
    day = max(complete_days(training_set.history))
    newest = read_history_frame(training_set.history.folder, day).reset_index().assign(as_of=pd.Timestamp(day))
    truth = read_truth(scratch / "company", settings.label.horizon_days)
    return History(settings, training_set, with_truth(newest, truth), truth)


def measure_companies(tasks: Sequence[Task], measure_one: Callable[[Task], Result]) -> Iterator[Result]:
    """The result of each task in turn, of two processes."""
    spawn = multiprocessing.get_context("spawn")  # forking a process whose LightGBM has threads deadlocks
    with ProcessPoolExecutor(WORKERS, mp_context=spawn) as pool:
        for done, result in enumerate(pool.map(measure_one, tasks), 1):
            print(f"{done} of {len(tasks)} companies", file=sys.stderr, flush=True)
            yield result


def expected_loss(truth: np.ndarray, risks: np.ndarray) -> float:
    """The expected log loss of risks where these are the true probabilities."""
    return -float(np.mean(xlogy(truth, risks) + xlogy(1 - truth, 1 - risks)))
