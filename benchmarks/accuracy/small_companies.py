"""What another company's model is worth to a young company, beside a model of its own and its base rate.

    python -m benchmarks.accuracy.small_companies [--companies 50] [--accounts 500] [--months 9 24] [--unlike] [--json]

The other company is simulated too, with 4,000 accounts over two years. Risks of all accounts on the newest day are
compared with their true probabilities, so that there is no label noise: the gain is how much lower the expected log
loss is than that of the base rate. A company that cannot train a model of its own has the base rate.
"""

import argparse
import json
import tempfile
from collections.abc import Iterable
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd

from benchmarks.accuracy.companies import History, expected_loss, measure_companies, publish_company
from benchmarks.accuracy.datasets import END
from benchmarks.accuracy.health_prior import predict_with_health_prior
from benchmarks.accuracy.oracle import TRUE_RISK
from configs.errors import NothingToLearn
from features.health_score.parts import HealthParts, read_health_parts
from features.simulator.model.parameters import Company, Shift, end_on
from features.tables.contract import ACCOUNT_ID
from training.evaluation.backtest import backtest_splits, fit_split
from training.labels.definition import CHURNED
from training.model.adoption import calibrate_with_prior, distil_model
from training.model.churn_model import ChurnModel, encode, load_model, save_model

OTHER = Company(accounts=4_000, months=24, seed=1_001)
# Causes are two thirds as strong, adoption has a fifth of its weight and others more, and monthly terms end three times
# as often.
UNLIKE = replace(OTHER, cause_strength=0.67, monthly_renewal_logit=6.4, shifts=(Shift("relation", 0, 0.8),))


@dataclass(frozen=True)
class CompanyResult:
    """One company: its departures with known labels, and the gains over its base rate, in nats an account.

    `own` is None if no model of its own could be trained; `health` is a regression with the health score as its prior;
    `possible` is the gain of the true probabilities.
    """

    months: int
    seed: int
    departed: int
    adopted: float
    own: float | None
    health: float
    possible: float


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
        save_model(_train_own(publish_company(UNLIKE if arguments.unlike else OTHER, Path(scratch) / "other")), source)
        tasks = [(months, seed) for months in arguments.months for seed in range(arguments.companies)]
        results = measure_companies(tasks, partial(measure, source=source, accounts=arguments.accounts))
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
        history = publish_company(company, Path(scratch))
    rows = history.training_set.rows
    truth = history.newest[TRUE_RISK].to_numpy()
    base_loss = expected_loss(truth, np.full(len(truth), (rows[CHURNED].sum() + 0.5) / (len(rows) + 1)))
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
        health=base_loss - expected_loss(truth, predict_with_health_prior(rows, history.newest, _read_parts(history))),
        possible=base_loss - expected_loss(truth, truth),
    )


def _read_parts(history: History) -> HealthParts:
    signals = {signal.name: signal for signal in history.training_set.history.signals}
    return read_health_parts(history.settings.health_parts, signals)


def _train_own(history: History) -> ChurnModel:
    training_set = history.training_set
    split = backtest_splits(training_set.days, history.settings)[0]
    return fit_split(training_set.rows, split, history.fit_config)


def _loss_of(model: ChurnModel, history: History) -> float:
    return expected_loss(
        history.newest[TRUE_RISK].to_numpy(), model.predict_risks(encode(history.newest, model.inputs))
    )


def _line(months: int, results: list[CompanyResult]) -> str:
    own = [result.own for result in results if result.own is not None]
    possible = float(np.mean([result.possible for result in results]))
    adopted, health = ([getattr(result, name) for result in results] for name in ("adopted", "health"))
    trained = f"own model: {len(own)} could train, {_gains(own, possible)}" if own else "own model: none could train"
    departed = np.median([result.departed for result in results])
    return (
        f"{months:>3} months, {len(results)} companies, {departed:.0f} departures in the median:"
        f" adopted {_gains(adopted, possible)}; health score as prior {_gains(health, possible)}; {trained}"
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
