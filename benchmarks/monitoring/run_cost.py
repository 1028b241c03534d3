"""What `oarlock monitor` costs as a company and its ledger grow: CPU seconds and memory of the whole command.

    python -m benchmarks.monitoring.run_cost [--accounts 2000 20000] [--weeks 52] [--runs 3] [--folder FOLDER]

A simulated company of two and a half years is published and has a champion. In each month of the last `--weeks` weeks
its risks were served on six days in a row. The first run reads all of it, a later one what the runs before it kept.
"""

import argparse
import subprocess
import sys
import tempfile
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

from rich.console import Console
from rich.table import Table

from configs.settings import Settings
from configs.settings_file import read_settings
from configs.state_dir import StateDir, open_state_dir
from features.store.history import complete_days, published_history
from monitoring.verdicts.verdict import EXIT_CODES
from serving.ledger.ledger import open_ledger
from serving.scoring.batch import open_batch
from serving.scoring.scorer import open_scorer

ROOT = Path(__file__).parents[2]
MONTHS = 30
# A process starts with the memory of the one that starts it, which is counted as its own.
LAUNCHER = """
import os, subprocess, sys
process = subprocess.Popen(sys.argv[1:], stdout=subprocess.DEVNULL)
_, status, used = os.wait4(process.pid, 0)
print(os.waitstatus_to_exitcode(status), used.ru_utime + used.ru_stime, used.ru_maxrss / 1024)
"""
SERVED = range(6)  # how many days after a published day its risks are served; a week later they would not count


def main() -> None:
    """Make each company once, run the command, and print what it took."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.monitoring.run_cost")
    parser.add_argument("--accounts", type=int, nargs="+", default=[2_000, 20_000])
    parser.add_argument("--weeks", type=int, default=52)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--folder", type=Path)
    chosen = parser.parse_args()
    table = Table(title="oarlock monitor: the whole command")
    for column in ("accounts", "ledger rows", "run", "CPU s", "MB"):
        table.add_column(column, justify="right")
    with tempfile.TemporaryDirectory() as scratch:
        for accounts in chosen.accounts:
            config = (chosen.folder or Path(scratch)) / str(accounts) / "bench.toml"
            rows = prepare(config, accounts, chosen.weeks)
            for run in range(1, chosen.runs + 1):
                seconds, megabytes = measure(config)
                table.add_row(f"{accounts:,}", f"{rows:,}", str(run), f"{seconds:.2f}", f"{megabytes:.0f}")
    Console(width=100).print(table)


def prepare(config: Path, accounts: int, weeks: int) -> int:
    """Simulate, train and serve a year of risks, unless that was done; returns the number of rows in the ledger."""
    company = config.parent / "company"
    if not config.exists():
        config.parent.mkdir(parents=True, exist_ok=True)
        run("simulate", f"--accounts={accounts}", f"--months={MONTHS}", "--seed=1", f"--output={company}")
        config.write_text(
            f'state = "state"\n[data]\ndataset = "{ROOT / "configs/datasets/simulated.toml"}"\n'
            f'folder = "{company.resolve()}"\n'
        )
    settings = read_settings(config)
    state = open_state_dir(settings)
    if not state.champion_pointer.exists():
        for command in (["publish"], ["train"], ["promote", "--force", "--reason=a benchmark"]):
            run("--config", str(config), *command)
        serve_past(settings, state, weeks)
    return open_ledger(settings, state).count()


def run(*arguments: str) -> None:
    """Run a command of oarlock; raises CalledProcessError if it fails."""
    subprocess.run([sys.executable, "oarlock.py", *arguments], cwd=ROOT, check=True, stdout=sys.stderr)


def serve_past(settings: Settings, state: StateDir, weeks: int) -> None:
    """Record the risks of every published day as served on the days after it."""
    history, newest = published_history(state)
    days = [day for day in complete_days(history) if newest - timedelta(weeks=weeks) <= day < newest]
    for day in days:
        for later in SERVED:
            scorer = open_scorer(settings, state, lambda at=day + timedelta(days=later): at)
            batch = open_batch(state, scorer, (), day)
            replace(batch, purpose="served").score_all(0, max_accounts=1)


def measure(config: Path) -> tuple[float, float]:
    """CPU seconds and megabytes of one run of the command, as a small process of its own measures them."""
    command = [sys.executable, "oarlock.py", "--config", str(config), "monitor", "--json"]
    launched = subprocess.run(
        [sys.executable, "-c", LAUNCHER, *command], cwd=ROOT, check=True, stdout=subprocess.PIPE, text=True
    )
    code, seconds, megabytes = map(float, launched.stdout.split())
    if code not in EXIT_CODES.values():
        raise RuntimeError(f"`oarlock monitor` ended with {code:g}.")
    return seconds, megabytes


if __name__ == "__main__":
    main()
