"""What own signals bring on crm5 beside the built-in ones, on the same origins, and what publishing them costs.

    python -m benchmarks.accuracy.own_signals --data FOLDER

FOLDER holds a folder `crm5`. Own are five declared signals and those of the twenty most used kinds of events, as they
were known before the first test day. Seconds are processor seconds of publishing the whole history.
"""

import argparse
import tempfile
import time
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import numpy as np
import pandas as pd
from rich.console import Console
from rich.table import Table

from benchmarks.accuracy.datasets import BenchmarkDataset, open_external
from benchmarks.accuracy.runner import (
    METRICS,
    BenchmarkRun,
    ModelRisks,
    predict_with_oarlock,
    summarize_models,
)
from configs.sections.signals import EventSignalSettings, SignalSettings
from training.evaluation.backtest import rows_on
from training.evaluation.scorecard import Interval

KINDS, KINDS_UNTIL = 20, date(2022, 7, 1)
DECLARED = {
    "deals_won": ("win_opportunity",),
    "deals_lost": ("lose_opportunity", "disqualify_opportunity"),
    "meetings": ("meeting", "schedule_meeting", "edit_meeting"),
    "outreach": ("call_lead", "email_lead", "email_list"),
    "lists": ("create_list", "create_search", "search"),
}
MEASURES = ("count", "days_since", "trend", "share")


@dataclass(frozen=True)
class _Published:
    dataset: BenchmarkDataset
    seconds: float

    @property
    def signals(self) -> int:
        return len(self.dataset.panel.history.signals)


def main() -> None:
    """Publish crm5 with and without own signals, and print what they bring and cost."""
    parser = argparse.ArgumentParser(description="What own signals bring, and what they cost.")
    parser.add_argument("--data", type=Path, required=True)
    folder = parser.parse_args().data
    events = tuple(
        EventSignalSettings(name=name, event=kinds, measures=MEASURES, windows=(28, 91))
        for name, kinds in DECLARED.items()
    )
    own = SignalSettings(events=events, per_event_kind=KINDS, kinds_until=KINDS_UNTIL)
    with tempfile.TemporaryDirectory() as scratch:
        sides = {
            "built-in signals": _publish(folder, Path(scratch) / "built_in", SignalSettings()),
            "with own signals": _publish(folder, Path(scratch) / "own", own),
        }
        _show(sides)


def _publish(folder: Path, scratch: Path, signals: SignalSettings) -> _Published:
    scratch.mkdir()
    started = time.process_time()
    dataset = open_external("crm5", folder, scratch, lambda _: None, signals=signals)
    return _Published(dataset, time.process_time() - started)


def _compare(sides: dict[str, _Published]) -> BenchmarkRun:
    """The risks of both sides on the same test snapshots."""
    tests, models = [], []
    for name, side in sides.items():
        dataset = side.dataset
        tests = [dataset.scope(rows_on(dataset.panel.rows, split.test)) for split in dataset.splits]
        pairs = zip(dataset.splits, tests, strict=True)
        risks = np.concatenate([predict_with_oarlock(dataset, split, test) for split, test in pairs])
        models.append(ModelRisks(name, risks, 0.0, 0.0))
    first = next(iter(sides.values())).dataset
    return BenchmarkRun(first, pd.concat(tests, ignore_index=True), models, 0.0)


def _show(sides: dict[str, _Published]) -> None:
    run, console = _compare(sides), Console(width=150)
    table = Table("", "signals", *METRICS, title=f"crm5, {len(run.test):,} test snapshots; intervals of 95 %")
    built_in, own = summarize_models(run)
    for name, result in zip(sides, (built_in, own), strict=True):
        table.add_row(name, str(sides[name].signals), *(_text(figure) for figure in result.figures.values()))
    table.add_row("difference", "", *(_text(change, "+") for change in own.difference.values()))
    console.print(table)
    before, after = sides.values()
    more = after.signals - before.signals
    days = len(after.dataset.panel.days)
    cost = (after.seconds - before.seconds) / days / more * 100
    console.print(
        f"Publishing {days} days takes {before.seconds:.0f} s of processor with {before.signals} signals and"
        f" {after.seconds:.0f} s with {after.signals}: {cost:.2f} s a day for a hundred signals more."
    )


def _text(figure: Interval, sign: str = "") -> str:
    return f"{figure.value:{sign}.4f} [{figure.low:{sign}.4f}, {figure.high:{sign}.4f}]"


if __name__ == "__main__":
    main()
