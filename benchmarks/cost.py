"""What publishing costs as a company grows: seconds, peak memory and seconds per 1,000 accounts, step by step.

    python benchmarks/cost.py [--accounts 1000 10000] [--company FOLDER] [--history] [--json]

Simulates each company first (--company uses a folder that already holds one), then publishes one day in a process of
its own: hash and checks of the files, the day's signals, the online store apart. --history also computes a day a month.
"""

import argparse
import json
import multiprocessing
import resource
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path

from rich.console import Console
from rich.table import Table

from configs.settings import Settings, read_settings
from configs.state import open_state
from features.compute import compute
from features.history import describe_day, training_days, write_day
from features.publish import open_dataset
from features.simulate.company import Company
from features.simulate.folder import simulate

CONFIG = Path(__file__).parent.parent / "configs/oarlock.toml"
DAY = datetime(2026, 7, 1)
FIRST_DAY = datetime(2024, 8, 1)
MEGABYTE = 1024


@dataclass
class Cost:
    """Seconds per step, and the most memory the process held, of publishing one company."""

    snapshots: int = 0
    signals: int = 0
    opening: float = 0.0
    computing: float = 0.0
    online: float = 0.0
    history: float = 0.0
    peak_megabytes: int = 0


def main() -> None:
    """Measure each size and print how cost grows."""
    parser = argparse.ArgumentParser(description="What publishing costs as a company grows.")
    parser.add_argument("--accounts", type=int, nargs="+", default=[1_000, 10_000])
    parser.add_argument("--company", type=Path)
    parser.add_argument("--history", action="store_true")
    parser.add_argument("--json", action="store_true")
    asked = parser.parse_args()
    found = [_in_its_own_process(asked.company, 0, asked.history)] if asked.company else []
    found += [] if asked.company else [_in_its_own_process(None, size, asked.history) for size in asked.accounts]
    print(json.dumps([asdict(one) for one in found], indent=1)) if asked.json else _show(found)


def _in_its_own_process(company: Path | None, accounts: int, history: bool) -> Cost:
    with tempfile.TemporaryDirectory() as scratch:
        folder = company or Path(scratch) / "company"
        if company is None:
            simulate(Company(accounts=accounts), folder, workers=2)
        # A fresh process, so that the memory measured is that of publishing alone.
        with multiprocessing.get_context("spawn").Pool(1) as pool:
            return pool.apply(measure, (folder, Path(scratch), history))


def measure(company: Path, scratch: Path, history: bool) -> Cost:
    """Publish the company's last day step by step."""
    from features.store import apply_declarations, materialise, open_store

    settings, cost = _settings(company, scratch), Cost()
    state = open_state(settings)
    with _timed(cost, "opening"):
        opened = open_dataset(settings, state)
    place = opened.place
    with _timed(cost, "computing"):
        rows = compute(opened.tables, place.signals, DAY).to_pyarrow()
        write_day(place, describe_day(place, DAY, rows), rows)
    with _timed(cost, "online"):
        store = open_store(state, settings.name)
        apply_declarations(store, place, state)
        materialise(store, DAY)
    cost.snapshots, cost.signals = rows.num_rows, len(place.signals)
    cost.peak_megabytes = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // MEGABYTE
    with _timed(cost, "history"):
        for day in training_days(FIRST_DAY, DAY, "month") if history else []:
            rows = compute(opened.tables, place.signals, day).to_pyarrow()
            write_day(place, describe_day(place, day, rows), rows)
    return cost


@contextmanager
def _timed(cost: Cost, step: str) -> Iterator[None]:
    began = time.perf_counter()
    yield
    setattr(cost, step, time.perf_counter() - began)


def _settings(company: Path, scratch: Path) -> Settings:
    read = read_settings(CONFIG)
    return read.model_copy(
        update={"state": scratch / "state", "data": read.data.model_copy(update={"folder": company.resolve()})}
    )


def _show(found: list[Cost]) -> None:
    columns = ("snapshots", "signals", "hash and checks s", "signals s", "ms a snapshot", "online s", "history s", "MB")
    table = Table(*columns, title="publishing one day")
    for one in found:
        seconds = [f"{getattr(one, step):.1f}" for step in ("opening", "computing")]
        each = f"{one.computing / one.snapshots * 1000:.2f}"
        rest = (f"{one.online:.1f}", f"{one.history:.1f}", f"{one.peak_megabytes:,}")
        table.add_row(f"{one.snapshots:,}", str(one.signals), *seconds, each, *rest)
    Console().print(table)


if __name__ == "__main__":
    main()
