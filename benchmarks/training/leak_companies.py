"""How often the leak checks refuse a sound model, and how many planted leaks they name, on whole companies.

    python -m benchmarks.training.leak_companies [--clean 200] [--planted 4] [--workers 2] [--json FILE]

A company has 400 to 1,200 accounts over 15 to 24 months, in a third of them with seasons. Accounts join over the whole
time, so that a day holds cohorts of every age. Its raw tables are simulated, its signals published, and a model trained
on the newest split with the shipped settings; then all checks run as in `oarlock train`. A planted leak
(`planted_leaks.py`) is in all accounts that left, or in 70 % of them; it is named if an alarm names a signal of its
families. A company whose labels are refused, or that has too few of them, is counted apart.
"""

import argparse
import json
import multiprocessing
import tempfile
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from datetime import date
from itertools import product
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
from rich.console import Console
from rich.progress import track
from rich.table import Table

from benchmarks.accuracy.datasets import CONFIGS
from benchmarks.training.planted_leaks import LEAKS, plant
from configs.errors import LabelsRefused, NothingToLearn
from configs.settings import Settings
from configs.settings_file import read_settings
from configs.state_dir import open_state_dir
from features.publishing.pipeline import PublishRequest, publish
from features.rate_interval import wilson_bounds
from features.simulator.model.parameters import Company, Shift
from features.simulator.writer import write_company
from features.tables.dataset import read_dataset
from training.evaluation.backtest import evaluate_fold, fit_split
from training.leakage.leakage import LeakageReport, fit_on_shuffled_labels
from training.pipelines.evaluate import check_leakage
from training.pipelines.training_inputs import read_training_inputs

SIZES, MONTHS, SEASONS = (400, 800, 1_200), (15, 18, 24), (0.0, 0.0, 0.6)
SHARES = (1.0, 0.7)
ONE_SIGNAL = "alone has an AUC of"
END = pd.Timestamp(2026, 7, 1)  # the end of the data in the mapping of simulated companies
FIRST_SEED, FIRST_PLANTED_SEED = 1_000, 9_000


@dataclass(frozen=True)
class Design:
    """A company: its seed, size and seasons, and which leak is planted in which share of the accounts that left."""

    seed: int
    accounts: int
    months: int
    season: float
    leak: str = ""
    share: float = 0.0


@dataclass(frozen=True)
class Checked:
    """What the checks said: their alarms, whether one names the leak, and why there was no model, if there was none."""

    design: Design
    churned: int = 0
    alarms: tuple[str, ...] = ()
    checks: tuple[str, ...] = ()
    is_named: bool = False
    refused: str = ""


def main() -> None:
    """Check every company and print both rates with their intervals."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.training.leak_companies")
    parser.add_argument("--clean", type=int, default=200)
    parser.add_argument("--planted", type=int, default=4, help="companies for each kind of leak")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--json", type=Path)
    chosen = parser.parse_args()
    designs = [*_clean_designs(chosen.clean), *_planted_designs(chosen.planted)]
    context = multiprocessing.get_context("spawn")
    # A new process for each company gives back the memory of the last one.
    with context.Pool(chosen.workers, maxtasksperchild=1) as pool:
        checked = pool.imap(check_company, designs)
        results = list(track(checked, total=len(designs), console=Console(stderr=True)))
    if chosen.json:
        chosen.json.write_text(json.dumps([asdict(result) for result in results], indent=1) + "\n")
    _print_clean([result for result in results if not result.design.leak])
    _print_planted([result for result in results if result.design.leak])


def check_company(design: Design) -> Checked:
    """Simulate a company, train a model, and run the leak checks."""
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary).resolve() / "company"
        settings = _settings(folder)
        shifts = (Shift("season", 0, design.season),) if design.season else ()
        company = Company(design.accounts, design.months, design.seed, _first_day(design.months), shifts=shifts)
        write_company(company, folder)
        if design.leak:
            plant(LEAKS[design.leak], folder, _draw_gone(folder, design))
        try:
            return _check(design, settings)
        except (LabelsRefused, NothingToLearn) as refused:
            return Checked(design, refused=str(refused))


def _clean_designs(count: int) -> Iterator[Design]:
    grid = list(product(SIZES, MONTHS, SEASONS))
    return (Design(FIRST_SEED + index, *grid[index % len(grid)]) for index in range(count))


def _planted_designs(count: int) -> Iterator[Design]:
    grid = list(product(SIZES[1:], MONTHS[1:]))
    for index, (leak, number) in enumerate(product(LEAKS, range(count))):
        size, months = grid[index % len(grid)]
        yield Design(FIRST_PLANTED_SEED + index, size, months, 0.0, leak, SHARES[number % len(SHARES)])


def _settings(folder: Path) -> Settings:
    read = read_settings(CONFIGS / "oarlock.toml")
    data = read.data.model_copy(update={"folder": folder})
    return read.model_copy(update={"state": folder.parent / "state", "data": data})


def _first_day(months: int) -> date:
    return (END - pd.DateOffset(months=months)).date()


def _draw_gone(folder: Path, design: Design) -> set[str]:
    accounts = pq.read_table(folder / "truth" / "accounts", columns=["account_id", "churned_at"]).to_pandas()
    gone = accounts.account_id[accounts.churned_at.notna()]
    return set(gone[np.random.default_rng(design.seed).random(len(gone)) < design.share])


def _check(design: Design, settings: Settings) -> Checked:
    state, ends = open_state_dir(settings), read_dataset(settings.data).observed_until
    if ends is None:
        raise LookupError(f"{settings.data.dataset} has no observed_until")
    publish(settings, state, PublishRequest(ends), lambda *_: None)
    inputs = read_training_inputs(settings, state, ends)
    rows, split = inputs.training_set.rows, inputs.splits[0]
    model = fit_split(rows, split, inputs.fit_config)
    shuffled = fit_on_shuffled_labels(rows, split, inputs.fit_config)
    report = check_leakage(model, evaluate_fold(model, rows, split, settings), inputs, shuffled)
    families = LEAKS[design.leak].families if design.leak else ()
    signals = [signal.name for signal in inputs.training_set.history.signals if signal.family in families]
    is_named = any(f"'{name}'" in alarm for alarm in report.alarms for name in signals)
    return Checked(design, int(rows.churned.sum()), report.alarms, tuple(_checks_of(report, settings)), is_named)


def _checks_of(report: LeakageReport, settings: Settings) -> Iterator[str]:
    """The checks that raised an alarm."""
    shuffled, limits = report.shuffled_labels, settings.leakage
    if any(ONE_SIGNAL in alarm for alarm in report.alarms):
        yield "one signal"
    if shuffled and not shuffled.low <= shuffled.auc <= shuffled.high:
        yield "shuffled labels"
    if any(lead.drop > limits.max_auc_drop and lead.drop_low > 0 for lead in report.leads):
        yield "lead time"
    if report.set_at_departure:
        yield "set at departure"


def _print_clean(results: Sequence[Checked]) -> None:
    judged = [result for result in results if not result.refused]
    counts = Counter(check for result in judged for check in result.checks)
    table = Table("sound companies", "refused", "of", "share", "95 % interval")
    for check in ("one signal", "shuffled labels", "lead time", "set at departure"):
        table.add_row(check, *_cells(counts[check], len(judged)))
    table.add_row("any of them", *_cells(sum(bool(result.alarms) for result in judged), len(judged)))
    Console().print(table, f"{len(results) - len(judged)} more had no model: too few labels, or refused ones")


def _print_planted(results: Sequence[Checked]) -> None:
    table = Table("planted leak", "named", "of", "share", "95 % interval")
    for leak, share in [*product(LEAKS, SHARES), ("", 0.0)]:
        group = [result for result in results if not leak or (result.design.leak, result.design.share) == (leak, share)]
        if group:
            text = f"{leak}, in {share:.0%} of those who left" if leak else "all"
            table.add_row(text, *_cells(sum(result.is_named for result in group), len(group)))
    Console().print(table)


def _cells(count: int, total: int) -> tuple[str, str, str, str]:
    low, high = wilson_bounds(count, total)
    return str(count), str(total), f"{count / total:.1%}" if total else "", f"{low:.1%} to {high:.1%}"


if __name__ == "__main__":
    main()
