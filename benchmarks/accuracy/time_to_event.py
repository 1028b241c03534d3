"""Time to event: the served model beside a hazard model over all horizons, and beside a model for each horizon.

    python -m benchmarks.accuracy.time_to_event crm5 --data FOLDER
    python -m benchmarks.accuracy.time_to_event simulated --accounts 2000 --seeds 2 3 4

The served model has one margin for all horizons. The hazard model learns from a row for each snapshot and interval that
the account was still at risk in, with the interval as an input (Singer & Willett, 1993). Both other models learn each
interval, or horizon, from all days whose labels for it were known; the hazard model's fit days for short intervals may
be calibration days of longer ones, which is to its disadvantage. Log losses are paired by account, after each day's
mean risk was moved to its churn rate: the level is not what the models differ in.
"""

import argparse
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path

import numpy as np
import pandas as pd
from rich.console import Console
from rich.progress import track
from rich.table import Table
from scipy.optimize import brentq
from scipy.special import expit, log_expit, logit

from benchmarks.accuracy.datasets import (
    END,
    EXTERNAL_DATASETS,
    MONTHS,
    SIMULATED,
    BenchmarkDataset,
    open_external,
    open_simulated,
)
from benchmarks.accuracy.runner import recipe_of
from configs.errors import NothingToLearn
from features.simulator.model.parameters import Company, end_on
from features.tables.contract import ACCOUNT_ID
from training.calibration.calibrator import PROBABILITY_EPSILON
from training.calibration.calibrator_fit import HorizonInterval, SegmentPrior, fit_calibrator, fit_logistic_curve
from training.data.cluster_bootstrap import bootstrap_weights, percentile_interval
from training.data.time_splits import Days, TimeSplit
from training.evaluation.backtest import fit_split, rows_on
from training.evaluation.metrics import auc, count_by_group
from training.evaluation.scorecard import Interval
from training.labels.definition import CHURNED, churned_column, matures_at
from training.model.churn_model import ModelInput, decode_segments, encode
from training.model.ensemble import FittedEnsemble, fit_with_early_stopping, refit
from training.model.fit import build_inputs, require_enough_churned

INTERVAL = ModelInput("interval", "time", "interval", "", "", "number", False)
SERVED, HAZARD, DIRECT = "one margin (served)", "hazard model", "a model per horizon"
RESAMPLES = 1_000
RisksByHorizon = Mapping[int, np.ndarray]


@dataclass(frozen=True)
class HorizonDays:
    """The days whose labels for a horizon were known: before the calibration, for it, and before the test."""

    fit: Days
    calibration: Days
    train: Days


@dataclass(frozen=True)
class HorizonTask:
    """A data set at one of its test days, with the horizons that have enough labels, the shortest first."""

    dataset: BenchmarkDataset
    split: TimeSplit
    days: Mapping[int, HorizonDays]

    @property
    def inputs(self) -> tuple[ModelInput, ...]:
        rows = self.dataset.panel.rows
        return build_inputs(self.dataset.panel.history.signals, rows_on(rows, self.split.train))

    def labels(self, rows: pd.DataFrame, horizon_days: int) -> np.ndarray:
        """Whether each account left within the horizon; NaN while unknown."""
        is_main = horizon_days == self.dataset.settings.label.horizon_days
        return rows[CHURNED if is_main else churned_column(horizon_days)].to_numpy(dtype="float64")

    def labelled(self, days: Days, horizon_days: int, *, after: int = 0) -> pd.DataFrame:
        """The snapshots of these days whose accounts stayed through `after` days, labelled for the horizon."""
        rows = rows_on(self.dataset.panel.rows, days)
        labels = self.labels(rows, horizon_days)
        is_at_risk = ~np.isnan(labels) & (self.labels(rows, after) == 0 if after else True)
        return rows[is_at_risk].assign(**{CHURNED: labels[is_at_risk]}).reset_index(drop=True)


@dataclass(frozen=True)
class HorizonResult:
    """The risks of a model for one horizon on one test day."""

    model: str
    horizon_days: int
    day: str
    account_ids: np.ndarray
    churned: np.ndarray
    risks: np.ndarray


def main() -> None:
    """Print a table for each data set."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.accuracy.time_to_event", description=(__doc__ or "").split("\n")[0]
    )
    parser.add_argument("datasets", nargs="+", choices=[*EXTERNAL_DATASETS, SIMULATED], metavar="DATASET")
    parser.add_argument("--data", type=Path, help="folder of the external data sets")
    parser.add_argument("--accounts", type=int, default=2_000, help="of a simulated company")
    parser.add_argument("--seeds", type=int, nargs="*", default=[2], help="of the simulated companies")
    arguments = parser.parse_args()
    for name in arguments.datasets:
        results: list[HorizonResult] = []
        for seed in arguments.seeds if name == SIMULATED else [0]:
            with tempfile.TemporaryDirectory() as scratch:
                dataset = _open(name, arguments, seed, scratch=Path(scratch))
                results += _measure(dataset, f"{name} {seed}")
        Console(width=None if Console().is_terminal else 140).print(_table(name, results))


def _open(name: str, arguments: argparse.Namespace, seed: int, *, scratch: Path) -> BenchmarkDataset:
    if name != SIMULATED:
        return open_external(name, arguments.data, scratch, lambda _: None)
    company = end_on(Company(accounts=arguments.accounts, months=MONTHS, seed=seed), END)
    return open_simulated(company, scratch, lambda _: None)


def _measure(dataset: BenchmarkDataset, title: str) -> Iterator[HorizonResult]:
    for split in track(dataset.splits, title, console=Console(stderr=True)):
        task = HorizonTask(dataset, split, dict(_horizon_days(dataset, split)))
        test = dataset.scope(rows_on(dataset.panel.rows, split.test))
        for model, predict in MODELS.items():
            for horizon_days, risks in predict(task, test).items():
                labels = task.labels(test, horizon_days)
                known = ~np.isnan(labels)
                accounts = (title + test[ACCOUNT_ID].astype("str")).to_numpy(dtype="str")
                day = f"{title} {split.test[-1]:%Y-%m-%d}"
                yield HorizonResult(model, horizon_days, day, accounts[known], labels[known], risks[known])


def _horizon_days(dataset: BenchmarkDataset, split: TimeSplit) -> Iterator[tuple[int, HorizonDays]]:
    label, training = dataset.settings.label, dataset.settings.training
    days = [day.to_pydatetime() for day in sorted(dataset.panel.rows.as_of.unique())]

    def known_before(horizon_days: int, end: datetime) -> Days:
        asked = label.model_copy(update={"horizon_days": horizon_days})
        return tuple(day for day in days if matures_at(day, asked) <= end)

    for horizon_days in sorted({*label.horizons, label.horizon_days}):
        train = known_before(horizon_days, split.test[0])
        calibration = train[-training.calibration_snapshots :]
        if calibration and (fit := known_before(horizon_days, calibration[0])):
            yield horizon_days, HorizonDays(fit, calibration, train)


def _predict_served(task: HorizonTask, test: pd.DataFrame) -> RisksByHorizon:
    model = fit_split(task.dataset.panel.rows, task.split, recipe_of(task.dataset))
    columns = model.predict_risks_by_horizon(encode(test, model.inputs)).T
    return dict(zip(model.calibrator.horizons, columns, strict=True))


def _predict_by_hazards(task: HorizonTask, test: pd.DataFrame) -> RisksByHorizon:
    training, inputs = task.dataset.settings.training, (*task.inputs, INTERVAL)
    fit, calibration, train = (_stack(task, group) for group in ("fit", "calibration", "train"))
    early = fit_with_early_stopping(fit, inputs, training, calibration)
    final = refit(train, inputs, training, like=early)
    matched = replace(early, num_trees=final.num_trees)
    intervals = [
        _calibration_interval(calibration[calibration.interval == number], inputs, (matched, final), until_day=days)
        for number, days in enumerate(task.days)
    ]
    prior = SegmentPrior(training.min_churned_per_segment, training.segment_prior_sd)
    calibrator = fit_calibrator(intervals, prior)
    staying = np.zeros(len(test))
    risks: dict[int, np.ndarray] = {}
    for number, days in enumerate(task.days):
        matrix = encode(test.assign(interval=float(number)), inputs)
        offsets = calibrator.segment_offsets(decode_segments(matrix[:, :-1], inputs[:-1]))
        log_odds = calibrator.slopes[number] * final.predict_margins(matrix) + calibrator.intercepts[number] + offsets
        staying = staying + log_expit(-log_odds)
        risks[days] = -np.expm1(staying)
    return risks


def _stack(task: HorizonTask, group: str) -> pd.DataFrame:
    """A row for each snapshot and interval in which its account was at risk."""
    parts: list[pd.DataFrame] = []
    after = 0
    for number, (horizon_days, days) in enumerate(task.days.items()):
        rows = task.labelled(getattr(days, group), horizon_days, after=after)
        parts.append(rows.assign(interval=float(number)))
        after = horizon_days
    return pd.concat(parts, ignore_index=True)


def _calibration_interval(
    rows: pd.DataFrame,
    inputs: tuple[ModelInput, ...],
    ensembles: tuple[FittedEnsemble, FittedEnsemble],
    *,
    until_day: int,
) -> HorizonInterval:
    matrix = encode(rows, inputs)
    early, final = (ensemble.predict_margins(matrix) for ensemble in ensembles)
    segments = decode_segments(matrix[:, :-1], inputs[:-1])
    accounts = rows[ACCOUNT_ID].to_numpy(dtype="str")
    return HorizonInterval(until_day, early, final, segments, accounts, rows[CHURNED].to_numpy())


def _predict_by_horizon(task: HorizonTask, test: pd.DataFrame) -> RisksByHorizon:
    training, inputs = task.dataset.settings.training, task.inputs
    risks: dict[int, np.ndarray] = {}
    for horizon_days, days in task.days.items():
        fit, calibration, train = (
            task.labelled(group, horizon_days) for group in (days.fit, days.calibration, days.train)
        )
        try:
            require_enough_churned(fit, training)
            require_enough_churned(calibration, training)
        except NothingToLearn:
            continue
        early = fit_with_early_stopping(fit, inputs, training, calibration)
        final = refit(train, inputs, training, like=early)
        matched = replace(early, num_trees=final.num_trees)
        margins = matched.predict_margins(encode(calibration, inputs))
        slope, intercept = fit_logistic_curve(margins, calibration[CHURNED].to_numpy())
        risks[horizon_days] = expit(slope * final.predict_margins(encode(test, inputs)) + intercept)
    return risks


MODELS: Mapping[str, Callable[[HorizonTask, pd.DataFrame], RisksByHorizon]] = {
    SERVED: _predict_served,
    HAZARD: _predict_by_hazards,
    DIRECT: _predict_by_horizon,
}


def _table(name: str, results: Sequence[HorizonResult]) -> Table:
    table = Table("horizon", "model", "test days", "snapshots", "churned", "AUC", "log loss", "difference", title=name)
    for horizon_days in sorted({result.horizon_days for result in results}):
        of_horizon = [result for result in results if result.horizon_days == horizon_days]
        of_horizon = [result for result in of_horizon if 0 < result.churned.sum() < len(result.churned)]
        models = {result.model for result in of_horizon}
        days = set.intersection(*({r.day for r in of_horizon if r.model == model} for model in models or {SERVED}))
        if SERVED not in models:
            continue
        served = None
        for model in MODELS:
            chosen = [result for result in of_horizon if result.model == model and result.day in days]
            if chosen:
                losses = np.concatenate([_losses_at_level(result) for result in chosen])
                served = losses if served is None else served
                difference = str(_mean_by_account(losses - served, chosen)) if model != SERVED else ""
                table.add_row(f"{horizon_days} days", model, *_counts(chosen), f"{losses.mean():.4f}", difference)
    return table


def _counts(chosen: Sequence[HorizonResult]) -> tuple[str, ...]:
    churned = np.concatenate([result.churned for result in chosen])
    day = np.repeat(np.arange(len(chosen)), [len(result.churned) for result in chosen])
    groups = [day == number for number in range(len(chosen))]
    ranked = float(auc(*count_by_group(churned, np.concatenate([result.risks for result in chosen]), groups))[0])
    return str(len(chosen)), f"{len(churned):,}", f"{int(churned.sum()):,}", f"{ranked:.3f}"


def _losses_at_level(result: HorizonResult) -> np.ndarray:
    """The log loss of each snapshot, with the mean risk of the day at its churn rate."""
    log_odds = logit(np.clip(result.risks, PROBABILITY_EPSILON, 1 - PROBABILITY_EPSILON))
    shift = brentq(lambda shift: float(expit(log_odds + shift).mean() - result.churned.mean()), -20, 20)
    shifted = log_odds + float(shift)
    return -np.where(result.churned > 0, log_expit(shifted), log_expit(-shifted))


def _mean_by_account(values: np.ndarray, chosen: Sequence[HorizonResult]) -> Interval:
    accounts = np.concatenate([result.account_ids for result in chosen])
    resampled = [weights @ values / weights.sum(axis=1) for weights in bootstrap_weights(accounts, RESAMPLES)]
    return Interval(float(values.mean()), *percentile_interval(np.concatenate(resampled)))


if __name__ == "__main__":
    main()
