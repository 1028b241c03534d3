"""Accuracy: Oarlock compared with other models on the same snapshots and origins, each figure with its interval.

    python -m benchmarks.accuracy crm5 online_retail ravenstack --data FOLDER
    python -m benchmarks.accuracy simulated --accounts 10000 --seed 2 --steps
    python -m benchmarks.accuracy --data FOLDER --json          # everything

FOLDER holds a folder per external data set. Histories in the folder of `--keep` are reused. Training seconds are those
of all origins, tuning included; CPU seconds can be compared even on a machine that does other things too.
"""

import argparse
import json
import tempfile
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import pandas as pd
from rich.console import Console
from rich.table import Table

from benchmarks.accuracy.datasets import (
    END,
    EXTERNAL_DATASETS,
    MONTHS,
    SIMULATED,
    BenchmarkDataset,
    Progress,
    open_external,
    open_simulated,
)
from benchmarks.accuracy.models import RIVALS
from benchmarks.accuracy.oracle import (
    CEILING,
    GainShare,
    is_held_out,
    measure_gain,
    read_truth,
    share_of_ceiling_gain,
    steps,
    truth_of,
    with_truth,
)
from benchmarks.accuracy.runner import (
    LOW_IS_GOOD,
    METRICS,
    OARLOCK,
    BenchmarkRun,
    ModelResult,
    run_models,
    significant_leads,
    summarize_models,
)
from features.simulator.model.parameters import Company, end_on
from training.evaluation.backtest import rows_on
from training.evaluation.scorecard import Interval
from training.labels.definition import CHURNED
from training.model.fit import build_inputs

WIDTH = 190  # in a file no figure is cut off


@dataclass(frozen=True)
class DatasetResult:
    """The result on one data set: each model over all origins and on the newest, and its share of the possible gain."""

    run: BenchmarkRun
    pooled: list[ModelResult]
    newest: list[ModelResult]
    gain_shares: dict[str, GainShare]


def main() -> None:
    """Compare the models on each data set and print the result."""
    arguments = _parse_arguments()
    console = Console(stderr=True)
    for result in _run_all(arguments, lambda step: console.print(step, style="dim")):
        if arguments.json:
            print(json.dumps(_document(result)))
        else:
            _show(result)


def _parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.accuracy", description=(__doc__ or "").split("\n")[0])
    parser.add_argument(
        "datasets", nargs="*", metavar="DATASET", help=f"{', '.join((*EXTERNAL_DATASETS, SIMULATED))}; all of them"
    )
    parser.add_argument("--data", type=Path, help="folder of the external data sets")
    parser.add_argument("--keep", type=Path, help="folder of histories to reuse")
    parser.add_argument("--rivals", nargs="*", choices=list(RIVALS), default=list(RIVALS), metavar="RIVAL")
    parser.add_argument("--accounts", type=int, default=10_000, help="of the simulated company")
    parser.add_argument("--months", type=int, default=MONTHS, help="of the simulated company")
    parser.add_argument("--seed", type=int, default=2, help="of the simulated company")
    parser.add_argument("--steps", action="store_true", help="also show where the rest of the possible gain is lost")
    parser.add_argument("--json", action="store_true", help="print one JSON document per data set")
    arguments = parser.parse_args()
    arguments.datasets = arguments.datasets or [*EXTERNAL_DATASETS, SIMULATED]
    unknown = set(arguments.datasets) - {*EXTERNAL_DATASETS, SIMULATED}
    if unknown:
        parser.error(f"unknown data set: {', '.join(sorted(unknown))}")
    if set(arguments.datasets) & set(EXTERNAL_DATASETS) and not arguments.data:
        parser.error("--data is needed for external data sets")
    return arguments


def _run_all(arguments: argparse.Namespace, report: Progress) -> Iterator[DatasetResult]:
    for name in arguments.datasets:
        with tempfile.TemporaryDirectory() as scratch:
            dataset = _open_dataset(name, arguments, Path(scratch), report)
            run = run_models(dataset, arguments.rivals, report)
            pooled, newest = summarize_models(run), summarize_models(run, newest_only=True)
            yield DatasetResult(run, pooled, newest, _gain_shares(run, arguments.steps) if dataset.company else {})


def _open_dataset(name: str, arguments: argparse.Namespace, scratch: Path, report: Progress) -> BenchmarkDataset:
    if name != SIMULATED:
        return open_external(name, arguments.data, arguments.keep / name if arguments.keep else scratch, report)
    company = Company(accounts=arguments.accounts, months=arguments.months, seed=arguments.seed)
    name = f"simulated_{company.accounts}_{company.months}_{company.seed}"
    return open_simulated(end_on(company, END), arguments.keep / name if arguments.keep else scratch, report)


def _gain_shares(run: BenchmarkRun, with_steps: bool) -> dict[str, GainShare]:
    """Each model's share of the possible gain, and where the rest is lost."""
    dataset = run.dataset
    assert dataset.company is not None
    training_rows = rows_on(dataset.panel.rows, dataset.splits[0].train)
    true = read_truth(dataset.company, dataset.settings.label.horizon_days)
    test = with_truth(run.test, true)
    truth = truth_of(test, float(training_rows[CHURNED].mean()))
    shares_of_gain = {model.name: measure_gain(truth, model.risks) for model in run.models}
    if not with_steps:
        return shares_of_gain
    selected = is_held_out(test)
    oracle_risks = steps(
        with_truth(training_rows, true), test[selected], build_inputs(dataset.panel.history.signals, training_rows)
    )
    same = truth.part(selected)
    shares = {
        model.name: share_of_ceiling_gain(same, model.risks[selected], oracle_risks[CEILING]) for model in run.models
    }
    shares_of_gain = {name: replace(share, of_ceiling=shares[name]) for name, share in shares_of_gain.items()}
    return shares_of_gain | {name: measure_gain(same, risks) for name, risks in oracle_risks.items()}


def _document(result: DatasetResult) -> dict[str, Any]:
    run = result.run
    return {
        "dataset": run.dataset.name,
        "snapshots": len(run.test),
        "churned": int(run.test[CHURNED].sum()),
        "signals": len(run.dataset.panel.history.signals),
        "origins": [f"{split.test[-1]:%Y-%m-%d}" for split in run.dataset.splits],
        "day_spread": run.day_spread,
        "significantly_better": {
            "pooled": significant_leads(result.pooled),
            "newest": significant_leads(result.newest),
        },
        "pooled": [asdict(model) for model in result.pooled],
        "newest": [asdict(model) for model in result.newest],
        "gain_shares": {name: asdict(share) for name, share in result.gain_shares.items()},
    }


def _show(result: DatasetResult) -> None:
    console, run = Console(), result.run
    if not console.is_terminal:
        console.width = WIDTH
    for title, results in _titled_results(result):
        console.print(_table(f"{run.dataset.name}, {title}", results))
        better = [f"{model.name} ({metric})" for model in results[1:] for metric in METRICS if model.is_better(metric)]
        console.print(f"better than {OARLOCK} on these days, each metric by itself: {', '.join(better) or 'none'}")
        console.print(f"significantly better than {OARLOCK}: {', '.join(significant_leads(results)) or 'none'}\n")
    if result.gain_shares:
        console.print(_gain_table(result.gain_shares))


def _titled_results(result: DatasetResult) -> list[tuple[str, list[ModelResult]]]:
    test, newest = result.run.test, result.run.dataset.splits[0].test
    last = test[test.as_of.isin(newest)]
    views = [(_with_counts(f"test day {newest[-1]:%Y-%m-%d}", last), result.newest)]
    origins = len(result.run.dataset.splits)
    return views + ([(_with_counts(f"{origins} origins pooled", test), result.pooled)] if origins > 1 else [])


def _with_counts(title: str, rows: pd.DataFrame) -> str:
    return f"{title}: {len(rows):,} snapshots, {int(rows[CHURNED].sum()):,} churned"


def _table(title: str, results: list[ModelResult]) -> Table:
    figures = ("AUC", "average precision", "lift at 10 %", "log loss", f"less {OARLOCK}'s", "with day noise")
    table = Table("", *figures, "CPU s", title=title)
    for model in results:
        worse = (
            ("", "")
            if model.name == OARLOCK
            else map(_signed, (model.difference["log_loss"], model.with_day_noise["log_loss"]))
        )
        table.add_row(
            model.name, *(_format_figure(model, metric) for metric in METRICS), *worse, f"{model.cpu_seconds:.0f}"
        )
    return table


def _format_figure(results: ModelResult, metric: str) -> str:
    figure, decimals = results.figures[metric], 2 if metric.startswith("lift") else 4 if metric in LOW_IS_GOOD else 3
    return f"{figure.value:.{decimals}f} [{figure.low:.{decimals}f}, {figure.high:.{decimals}f}]"


def _signed(interval: Interval) -> str:
    return f"{interval.value:+.4f} [{interval.low:+.4f}, {interval.high:+.4f}]"


def _gain_table(gain_shares: dict[str, GainShare]) -> Table:
    titles = (
        "share of the possible gain",
        "of the signal ceiling",
        "on realised labels",
        "mean gap to the true risk",
    )
    table = Table("", *titles, title="possible gain")
    for name, share in gain_shares.items():
        of_ceiling = _shares(share.of_ceiling) if share.of_ceiling else ""
        table.add_row(
            name, _shares(share.share), of_ceiling, f"{share.realised_share:.1%}", f"{share.gap_to_truth:.4f}"
        )
    return table


def _shares(interval: Interval) -> str:
    return f"{interval.value:.1%} [{interval.low:.1%}, {interval.high:.1%}]"


if __name__ == "__main__":
    main()
