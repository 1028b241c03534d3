"""What training costs as a company grows: seconds of each step and peak memory, of `train` in a process of its own.

    python -m benchmarks.training.scaling [--accounts 20000] [--threads 2] [--keep FOLDER] [--json]

The company is simulated over 24 months and published month by month first; neither is counted. Of 20,000 accounts some
266,000 snapshots are mature. CPU seconds bear comparison on a machine that does other things too.
"""

import argparse
import json
import multiprocessing
import tempfile
import time
from dataclasses import asdict, dataclass
from itertools import pairwise
from pathlib import Path

from rich.console import Console
from rich.table import Table

from benchmarks.accuracy.datasets import MONTHS, simulated_history
from configs.settings import Settings
from configs.state_dir import open_state_dir
from features.simulator.model.parameters import Company
from features.tables.dataset import read_dataset


@dataclass(frozen=True)
class Step:
    """One step of training and its cost."""

    name: str
    seconds: float
    cpu_seconds: float


@dataclass(frozen=True)
class Cost:
    """What one training cost: each step, the peak memory, and how large the panel was."""

    snapshots: int
    signals: int
    steps: list[Step]
    peak_gigabytes: float


def main() -> None:
    """Publish, train in a fresh process, print."""
    parser = argparse.ArgumentParser(description="What training costs.")
    parser.add_argument("--accounts", type=int, default=20_000)
    parser.add_argument("--seed", type=int, default=2)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--keep", type=Path, help="folder for a company and history that are used again")
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    console = Console(stderr=True)
    with tempfile.TemporaryDirectory() as scratch:
        folder = (
            arguments.keep / f"simulated_{arguments.accounts}_{arguments.seed}" if arguments.keep else Path(scratch)
        )
        company = Company(accounts=arguments.accounts, months=MONTHS, seed=arguments.seed)
        settings = simulated_history(company, folder, lambda step: console.print(step, style="dim"))
        cost = _in_fresh_process(settings, arguments.threads)
    if arguments.json:
        print(json.dumps(asdict(cost), indent=1))
    else:
        _show(cost)


def _in_fresh_process(settings: Settings, threads: int) -> Cost:
    """Train in a process that has done nothing else, so that the peak of its memory is that of training."""
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        return pool.apply(_train, (settings, threads))


def _train(settings: Settings, threads: int) -> Cost:
    from training.pipelines.train import train

    clock, marks = Clock(), []
    fresh = settings.training.model_copy(update={"threads": threads, "seed": time.time_ns() % 2**31})
    settings = settings.model_copy(update={"training": fresh})  # a seed never used before: nothing is found and reused
    ends = read_dataset(settings.data).observed_until
    assert ends is not None
    trained = train(settings, open_state_dir(settings), ends, lambda step, *_: marks.append((step, clock.read())))
    return Cost(_snapshots(settings), trained.evaluation.signal_count, _steps(marks), _peak_gigabytes())


class Clock:
    """Seconds since it was made: on the wall, and of this process's CPU."""

    def __init__(self) -> None:
        self._began = (time.perf_counter(), time.process_time())

    def read(self) -> tuple[float, float]:
        return time.perf_counter() - self._began[0], time.process_time() - self._began[1]


def _steps(marks: list[tuple[str, tuple[float, float]]]) -> list[Step]:
    """What passed between one word of progress and the next."""
    return [Step(step, wall[0] - at[0], wall[1] - at[1]) for (step, at), (_, wall) in pairwise(marks)]


def _snapshots(settings: Settings) -> int:
    """How many snapshots training could read: those of every complete day that is mature."""
    from features.publishing.open_dataset import open_dataset
    from features.store.history import accounts_on, complete_days
    from training.labels.definition import matures_at

    dataset = read_dataset(settings.data)
    assert dataset.observed_until is not None
    history = open_dataset(settings, open_state_dir(settings)).history
    mature = [day for day in complete_days(history) if matures_at(day, settings.label) <= dataset.observed_until]
    return sum(len(accounts_on(history, day)) for day in mature)


def _peak_gigabytes() -> float:
    peak = next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM"))
    return int(peak.split()[1]) / 1e6


def _show(cost: Cost) -> None:
    title = f"{cost.snapshots:,} snapshots x {cost.signals} signals; peak memory {cost.peak_gigabytes:.1f} GB"
    table = Table("step", "seconds", "CPU seconds", title=title)
    for step in cost.steps:
        table.add_row(step.name, f"{step.seconds:.0f}", f"{step.cpu_seconds:.0f}")
    Console().print(table)


if __name__ == "__main__":
    main()
