"""`oarlock score --all --drivers 3 --output` against a naive loop, and its memory by number of accounts.

    python -m benchmarks.serving.batch_scoring COMPANY FOLDER LARGE [LARGE ...]

COMPANY and FOLDER are those of `benchmarks/serving/latency.py`: the models are made there. Each LARGE is a
simulated company whose newest day is published and scored with the large model, every risk into the ledger and the
export. The loop asks Feast for a thousand accounts, MLflow's pyfunc for their risks and shap for their drivers, and
keeps the result in memory.
"""

import argparse
import os
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console
from rich.table import Table

from benchmarks.serving.fixtures import accounts, make_service_folder, published
from configs.settings_file import read_settings
from configs.state_dir import open_state_dir

ROOT = Path(__file__).parents[2]
AT_ONCE = 1_000


@dataclass(frozen=True)
class Cost:
    """What scoring came to: accounts, seconds by the clock and of the processor, peak memory in MB."""

    accounts: int
    wall: float
    cpu: float
    peak_mb: float


def main() -> None:
    """Publish each company once, score it both ways, print the figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("company", type=Path)
    parser.add_argument("folder", type=Path)
    parser.add_argument("large", type=Path, nargs="+")
    parser.add_argument("--naive", type=int, default=3_000, help="how many accounts the loop is timed on")
    arguments = parser.parse_args()
    served = make_service_folder(arguments.company, arguments.folder, "large")
    table = Table(title="Scoring everyone with drivers, 500 trees of 31 leaves")
    for column in ("accounts", "by", "seconds", "CPU s", "accounts a CPU s", "ratio", "peak MB"):
        table.add_column(column, justify="right")
    for company in arguments.large:
        folder = arguments.folder / f"all-{company.name}"
        config = published(company, folder, served)
        oarlock = _score_with_oarlock(config, folder / "scores.parquet")
        naive = _score_naively(served, config, arguments.naive)
        pace = [cost.accounts / cost.cpu for cost in (oarlock, naive)]
        table.add_row(
            *_cells(oarlock, "oarlock score --all"), f"{pace[0]:,.0f}", f"{pace[0] / pace[1]:.1f}", _mb(oarlock)
        )
        table.add_row(*_cells(naive, "the loop"), f"{pace[1]:,.0f}", "", "")
    Console(width=120).print(table)


def _score_with_oarlock(config: Path, to: Path) -> Cost:
    """The command as anyone runs it, start and all."""
    command = [sys.executable, "oarlock.py", "--config", str(config), "score", "--all", "--drivers=3", f"--output={to}"]
    begun = time.perf_counter()
    process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.DEVNULL)
    done, status, used, peak = 0, 0, None, 0.0
    while not done:
        time.sleep(0.1)
        peak = _peak_mb(process.pid) or peak  # what wait4 says of it may be the peak of the process that started it
        done, status, used = os.wait4(process.pid, os.WNOHANG)
    if status or used is None:
        raise RuntimeError(f"{command} ended with {status}")
    account_count = len(accounts(open_state_dir(read_settings(config))))
    return Cost(account_count, time.perf_counter() - begun, used.ru_utime + used.ru_stime, peak)


def _peak_mb(pid: int) -> float:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next((int(line.split()[1]) / 1024 for line in lines if line.startswith("VmHWM")), 0.0)


def _score_naively(served: Path, config: Path, max_accounts: int) -> Cost:
    """The loop over some accounts, without its start."""
    from benchmarks.serving.naive_service import NaiveModel

    model, ids = NaiveModel(served, config), accounts(open_state_dir(read_settings(config)))[:max_accounts]
    model.score(ids[:1])
    begun, used, scores = time.perf_counter(), time.process_time(), []
    for start in range(0, len(ids), AT_ONCE):
        scores += model.score(ids[start : start + AT_ONCE])
    return Cost(len(scores), time.perf_counter() - begun, time.process_time() - used, float("nan"))


def _cells(cost: Cost, by: str) -> list[str]:
    return [f"{cost.accounts:,}", by, f"{cost.wall:.1f}", f"{cost.cpu:.1f}"]


def _mb(cost: Cost) -> str:
    return f"{cost.peak_mb:.0f}"


if __name__ == "__main__":
    main()
