"""What publishing costs as a company grows: seconds, processor seconds and peak memory, step by step.

    python benchmarks/features/publish_cost.py [--accounts 1000 10000] [--company FOLDER ...] [--history] [--json]

Simulates each company first (--company uses folders that already hold one), then publishes one day in a process of its
own: hash and checks of the files, the day's signals, the online store apart. --history also computes a day a month.
"""

import argparse
import contextlib
import io
import json
import multiprocessing
import os
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from configs.settings import Settings
from configs.settings_file import read_settings
from configs.state_dir import open_state_dir
from features.compute.compute import ComputeRequest, compile_signals
from features.publishing.open_dataset import OpenDataset, open_dataset
from features.simulator.model.parameters import Company
from features.simulator.writer import write_company
from features.store.history import summarize_day, training_days, write_day

CONFIG = Path(__file__).parents[2] / "configs/oarlock.toml"
DAY = datetime(2026, 7, 1)
FIRST_DAY = datetime(2024, 8, 1)
STEPS = ("opening", "computing", "online", "history")
KILOBYTES = 1024


@dataclass
class Cost:
    """Of publishing one company: wall and processor seconds per step, and the most memory held by the end of each."""

    accounts: int
    snapshots: int = 0
    signals: int = 0
    history_days: int = 0
    history_snapshots: int = 0
    wall: dict[str, float] = field(default_factory=dict)
    processor: dict[str, float] = field(default_factory=dict)
    peak_megabytes: dict[str, int] = field(default_factory=dict)


def main() -> None:
    """Measure each size and print how cost grows."""
    parser = argparse.ArgumentParser(description="What publishing costs as a company grows.")
    parser.add_argument("--accounts", type=int, nargs="+", default=[1_000, 10_000])
    parser.add_argument("--company", type=Path, nargs="+", default=[])
    parser.add_argument("--history", action="store_true")
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    costs = [_in_its_own_process(folder, 0, arguments.history) for folder in arguments.company]
    costs += (
        [] if arguments.company else [_in_its_own_process(None, size, arguments.history) for size in arguments.accounts]
    )
    sys.stdout.write(json.dumps([asdict(cost) for cost in costs], indent=1) + "\n") if arguments.json else _show(costs)


def _in_its_own_process(company: Path | None, accounts: int, history: bool) -> Cost:
    with tempfile.TemporaryDirectory() as scratch:
        folder = company or Path(scratch) / "company"
        if company is None:
            write_company(Company(accounts=accounts), folder, workers=2)
        # A fresh process, so that the memory measured is that of publishing alone.
        with multiprocessing.get_context("spawn").Pool(1) as pool:
            return pool.apply(measure, (folder, Path(scratch), history))


def measure(company: Path, scratch: Path, history: bool) -> Cost:
    """Publish the company's last day step by step."""
    from features.store.feast_store import apply_declarations, materialize_online, open_store

    settings = _settings(company, scratch)
    cost = Cost(json.loads((company / "company.json").read_text())["company"]["accounts"])
    state = open_state_dir(settings)
    with _measured(cost, "opening"):
        opened = open_dataset(settings, state)
    with _measured(cost, "computing"):
        cost.snapshots = _write(opened, [DAY])
    # Feast prints a line per view.
    with _measured(cost, "online"), contextlib.redirect_stdout(io.StringIO()):
        store = open_store(state, settings.name)
        apply_declarations(store, opened.history, state)
        materialize_online(store, DAY)
    days = training_days(FIRST_DAY, DAY, "monthly") if history else []
    with _measured(cost, "history"):
        cost.history_snapshots = _write(opened, days)
    cost.signals, cost.history_days = len(opened.history.signals), len(days)
    return cost


def _write(opened: OpenDataset, days: list[datetime]) -> int:
    """Compute and write these days, as a publish does; the number of snapshots."""
    rows_on, snapshots = compile_signals(opened.backend, opened.tables, ComputeRequest(opened.history.signals, days)), 0
    for day in days:
        rows = rows_on(day)
        write_day(opened.history, summarize_day(opened.history, day, rows), rows)
        snapshots += rows.num_rows
    return snapshots


@contextlib.contextmanager
def _measured(cost: Cost, step: str) -> Iterator[None]:
    wall, processor = time.perf_counter(), time.process_time()
    yield
    cost.wall[step] = round(time.perf_counter() - wall, 2)
    cost.processor[step] = round(time.process_time() - processor, 2)
    # `ru_maxrss` would be that of the process which started this one.
    (peak,) = (line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM"))
    cost.peak_megabytes[step] = int(peak.split()[1]) // KILOBYTES


def _settings(company: Path, scratch: Path) -> Settings:
    read = read_settings(CONFIG)
    return read.model_copy(
        update={"state": scratch / "state", "data": read.data.model_copy(update={"folder": company.resolve()})}
    )


def _show(costs: list[Cost]) -> None:
    console = Console()
    columns = ("accounts", "step", "snapshots", "seconds", "processor seconds", "ms a snapshot", "peak MB")
    table = Table(*columns, title=f"publishing {costs[0].signals} signals", title_justify="left")
    for cost in costs:
        for step in STEPS if cost.history_days else STEPS[:-1]:
            table.add_row(*_cells(cost, step), end_section=step == STEPS[-1])
    console.print(table)
    days = f"history: {costs[0].history_days} days; " if costs[0].history_days else ""
    console.print(f"{days}{os.cpu_count()} processors, load {os.getloadavg()[0]:.1f}")


def _cells(cost: Cost, step: str) -> list[Any]:
    snapshots = cost.history_snapshots if step == "history" else cost.snapshots
    seconds = [f"{cost.wall[step]:.1f}", f"{cost.processor[step]:.1f}"]
    each = f"{cost.processor[step] / snapshots * 1000:.2f}"
    return [f"{cost.accounts:,}", step, f"{snapshots:,}", *seconds, each, f"{cost.peak_megabytes[step]:,}"]


if __name__ == "__main__":
    main()
