"""Whether the learning curve of the model card foretells what six more months of data bring.

    python -m benchmarks.accuracy.learning_curves [--companies 10] [--accounts 2000] [--months 24] [--json]

Each company is simulated with six months more than `--months`. The learning curve is measured without the oldest six,
and its forecast compared with what they bring: the change of the expected log loss on the newest test day, where the
true probabilities are known, so that there is no label noise.
"""

import argparse
import json
import tempfile
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd

from benchmarks.accuracy.companies import History, expected_loss, measure_companies, publish_company
from benchmarks.accuracy.datasets import END
from benchmarks.accuracy.oracle import TRUE_RISK, with_truth
from configs.errors import NothingToLearn
from features.simulator.model.parameters import Company, end_on
from training.evaluation.backtest import BacktestFold, backtest_splits, evaluate_fold, fit_split
from training.evaluation.learning_curve import MONTHS, measure_learning_curve
from training.evaluation.scorecard import Interval


@dataclass(frozen=True)
class CurveResult:
    """The forecast of one company's learning curve, and the change that more months bring; None without a forecast."""

    seed: int
    forecast: Interval | None
    more_departed: int
    change: float | None


def main() -> None:
    """Print how near the forecasts are to the changes."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.accuracy.learning_curves", description=(__doc__ or "").split("\n")[0]
    )
    parser.add_argument("--companies", type=int, default=10)
    parser.add_argument("--accounts", type=int, default=2_000)
    parser.add_argument("--months", type=int, default=24)
    parser.add_argument("--json", action="store_true", help="a line per company")
    arguments = parser.parse_args()
    measure_one = partial(measure, accounts=arguments.accounts, months=arguments.months)
    results: list[CurveResult] = []
    for result in measure_companies(range(arguments.companies), measure_one):
        results.append(result)
        if arguments.json:
            print(json.dumps(asdict(result)), flush=True)
    print(_summary(results))


def measure(seed: int, *, accounts: int, months: int) -> CurveResult:
    """One company, by its seed."""
    company = end_on(Company(accounts=accounts, months=months + MONTHS, seed=seed), END)
    with tempfile.TemporaryDirectory() as scratch:
        history = publish_company(company, Path(scratch))
    rows = history.training_set.rows
    start = rows.as_of.min() + pd.DateOffset(months=MONTHS)
    try:
        before = _newest_fold(history, rows[rows.as_of >= start])
    except NothingToLearn:
        return CurveResult(seed, None, 0, None)
    curve = measure_learning_curve(before, rows[rows.as_of >= start], history.fit_config, history.settings)
    forecast = curve.forecast if curve else None
    if forecast is None:
        return CurveResult(seed, None, 0, None)
    change = _loss(_newest_fold(history, rows), history) - _loss(before, history)
    return CurveResult(seed, forecast.log_loss, forecast.departed, change)


def _newest_fold(history: History, rows: pd.DataFrame) -> BacktestFold:
    days = [day.to_pydatetime() for day in sorted(rows.as_of.unique())]
    split = backtest_splits(days, history.settings)[0]
    return evaluate_fold(fit_split(rows, split, history.fit_config), rows, split, history.settings)


def _loss(fold: BacktestFold, history: History) -> float:
    return expected_loss(with_truth(fold.test, history.truth)[TRUE_RISK].to_numpy(), fold.risks)


def _summary(results: list[CurveResult]) -> str:
    pairs = [(r.forecast, r.change) for r in results if r.forecast is not None and r.change is not None]
    if not pairs:
        return f"none of {len(results)} companies has a forecast"
    covered = sum(forecast.low <= change <= forecast.high for forecast, change in pairs)
    forecasts, changes = np.array([forecast.value for forecast, _ in pairs]), np.array([change for _, change in pairs])
    return (
        f"{len(pairs)} of {len(results)} companies with a forecast: forecast {_mean(forecasts)}, change"
        f" {_mean(changes)}; {covered} of {len(pairs)} intervals hold the change"
    )


def _mean(values: np.ndarray) -> str:
    error = values.std(ddof=1) / np.sqrt(len(values)) if len(values) > 1 else np.nan
    return f"{values.mean():+.4f} +- {error:.4f}"


if __name__ == "__main__":
    main()
