"""What another company's model is worth to a young company, beside a model of its own and its base rate.

    python -m benchmarks.accuracy.small_companies [--companies 50] [--accounts 500] [--months 9 24] [--unlike] [--json]

The other company is simulated too, with 4,000 accounts over two years. Risks of all accounts on the newest day are
compared with their true probabilities, so that there is no label noise: the gain is how much lower the expected log
loss is than that of the base rate. A company that cannot train a model of its own has the base rate.
"""

import argparse
import json
import multiprocessing
import sys
import tempfile
from collections.abc import Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
from scipy.special import xlogy

from benchmarks.accuracy.datasets import simulated_history
from benchmarks.accuracy.oracle import TRUE_RISK, read_truth, with_truth
from configs.errors import NothingToLearn
from configs.settings import Settings
from configs.state_dir import open_state_dir
from features.simulator.model.parameters import Company, Shift, end_on
from features.store.history import complete_days
from features.store.history_reader import read_history_frame
from features.tables.contract import ACCOUNT_ID
from features.tables.dataset import read_dataset
from training.data.training_set import TrainingSet, build_training_set
from training.evaluation.backtest import backtest_splits, fit_split
from training.labels.definition import CHURNED, describe_label, supported_horizons
from training.model.adoption import calibrate_with_prior, distil_model
from training.model.churn_model import ChurnModel, encode, load_model, save_model
from training.model.fit import FitConfig

OTHER = Company(accounts=4_000, months=24, seed=1_001)
# Causes are two thirds as strong, adoption has a fifth of its weight and others more, and monthly terms end three times
# as often.
UNLIKE = replace(OTHER, cause_strength=0.67, monthly_renewal_logit=6.4, shifts=(Shift("relation", 0, 0.8),))
END = datetime(2026, 7, 1)
WORKERS = 2


@dataclass(frozen=True)
class CompanyResult:
    """One company: its departures with known labels, and the gains over its base rate, in nats an account.

    `own` is None if no model of its own could be trained; `possible` is the gain of the true probabilities.
    """

    months: int
    seed: int
    departed: int
    adopted: float
    own: float | None
    possible: float


@dataclass(frozen=True)
class History:
    """A published company: its settings, its labelled snapshots, and those of the newest day with their truth."""

    settings: Settings
    training_set: TrainingSet
    newest: pd.DataFrame

    @property
    def fit_config(self) -> FitConfig:
        label = self.settings.label
        horizons = supported_horizons(label)[0]
        return FitConfig(self.training_set.history.signals, self.settings.training, describe_label(label), {}, horizons)


def main() -> None:
    """Print a line per length of the history."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.accuracy.small_companies", description=(__doc__ or "").split("\n")[0]
    )
    parser.add_argument("--companies", type=int, default=50)
    parser.add_argument("--accounts", type=int, default=500)
    parser.add_argument("--months", type=int, nargs="*", default=[9, 24])
    parser.add_argument("--unlike", action="store_true", help="accounts leave the other company for other reasons")
    parser.add_argument("--json", action="store_true", help="a line per company")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        source = Path(scratch) / "source"
        source.mkdir()
        save_model(_train_own(_publish(UNLIKE if arguments.unlike else OTHER, Path(scratch) / "other")), source)
        tasks = [(months, seed) for months in arguments.months for seed in range(arguments.companies)]
        results = _measure_all(tasks, partial(measure, source=source, accounts=arguments.accounts))
        by_months: dict[int, list[CompanyResult]] = {}
        for result in results:
            by_months.setdefault(result.months, []).append(result)
            if arguments.json:
                print(json.dumps(asdict(result)), flush=True)
    for months, measured in by_months.items():
        print(_line(months, measured))


def measure(task: tuple[int, int], *, source: Path, accounts: int) -> CompanyResult:
    """One company of so many months, by its seed."""
    months, seed = task
    company = end_on(Company(accounts=accounts, months=months, seed=seed), END)
    with tempfile.TemporaryDirectory() as scratch:
        history = _publish(company, Path(scratch))
    rows = history.training_set.rows
    truth = history.newest[TRUE_RISK].to_numpy()
    base_loss = _loss(truth, np.full(len(truth), (rows[CHURNED].sum() + 0.5) / (len(rows) + 1)))
    try:
        own = base_loss - _loss_of(_train_own(history), history)
    except NothingToLearn:
        own = None
    unlabelled = pd.concat([rows, history.newest], ignore_index=True)
    adopted = calibrate_with_prior(distil_model(load_model(source), unlabelled, history.fit_config), rows)
    return CompanyResult(
        months,
        seed,
        departed=int(rows[ACCOUNT_ID][rows[CHURNED] == 1].nunique()),
        adopted=base_loss - _loss_of(adopted, history),
        own=own,
        possible=base_loss - _loss(truth, truth),
    )


def _measure_all(tasks: list[tuple[int, int]], measure_one: "partial[CompanyResult]") -> Iterator[CompanyResult]:
    spawn = multiprocessing.get_context("spawn")  # forking a process whose LightGBM has threads deadlocks
    with ProcessPoolExecutor(WORKERS, mp_context=spawn) as pool:
        for done, result in enumerate(pool.map(measure_one, tasks), 1):
            print(f"{done} of {len(tasks)} companies", file=sys.stderr, flush=True)
            yield result


def _publish(company: Company, scratch: Path) -> History:
    settings = simulated_history(company, scratch, lambda _: None)
    ends = read_dataset(settings.data).observed_until
    assert ends is not None
    training_set = build_training_set(settings, open_state_dir(settings), ends)
    day = max(complete_days(training_set.history))
    newest = read_history_frame(training_set.history.folder, day).reset_index().assign(as_of=pd.Timestamp(day))
    truth = read_truth(scratch / "company", settings.label.horizon_days)
    return History(settings, training_set, with_truth(newest, truth))


def _train_own(history: History) -> ChurnModel:
    training_set = history.training_set
    split = backtest_splits(training_set.days, history.settings)[0]
    return fit_split(training_set.rows, split, history.fit_config)


def _loss_of(model: ChurnModel, history: History) -> float:
    return _loss(history.newest[TRUE_RISK].to_numpy(), model.predict_risks(encode(history.newest, model.inputs)))


def _loss(truth: np.ndarray, risks: np.ndarray) -> float:
    """The expected log loss of risks where these are the true probabilities."""
    return -float(np.mean(xlogy(truth, risks) + xlogy(1 - truth, 1 - risks)))


def _line(months: int, results: list[CompanyResult]) -> str:
    own = [result.own for result in results if result.own is not None]
    possible = float(np.mean([result.possible for result in results]))
    adopted = [result.adopted for result in results]
    trained = f"own model: {len(own)} could train, {_gains(own, possible)}" if own else "own model: none could train"
    departed = np.median([result.departed for result in results])
    return (
        f"{months:>3} months, {len(results)} companies, {departed:.0f} departures in the median:"
        f" adopted {_gains(adopted, possible)}; {trained}"
    )


def _gains(gains: Iterable[float], possible: float) -> str:
    values = np.array(list(gains))
    error = values.std(ddof=1) / np.sqrt(len(values)) if len(values) > 1 else np.nan
    return (
        f"gain {values.mean():.4f} +- {error:.4f} ({values.mean() / possible:.0%} of the possible), worst"
        f" {values.min():+.4f}, {(values < 0).sum()} worse than the base rate"
    )


if __name__ == "__main__":
    main()
