"""The topologies `embedded` and `standard` beside each other: equal answers, latency by store, backup and restore.

    python -m benchmarks.serving.topologies --postgres URL --redis URL
        [--accounts 110000] [--months 13] [--seconds 10] [--rounds 3] [--json]

A simulated company, ten times over, is published and fitted on `embedded`. Its backup is restored into `standard`,
which publishes the next day from the raw tables, as `embedded` does. Every risk with its drivers, and changes of risks,
are compared to the last bit. Then each pair of online store and ledger is loaded in turn. Last, a backup of `standard`
is taken while a client scores, and restored into `embedded`: 10,000 answers and the ledger have to be the same.
"""

import argparse
import json
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from pathlib import Path
from statistics import median

import numpy as np
from rich.console import Console
from rich.table import Table

from benchmarks.serving.fixtures import accounts, make_versions
from benchmarks.serving.load_generator import Figures, measure, serving
from benchmarks.serving.repeated_company import repeat_company
from benchmarks.serving.standard_stores import Servers, environment, standard_stores
from benchmarks.serving.topology_answers import (
    Answer,
    Equality,
    ask_for_changes,
    ask_for_risks,
    compare_answers,
    recorded_requests,
    run,
    score_meanwhile,
    wait_for_portfolio,
)
from configs.clock import today
from configs.settings import Settings
from configs.settings_file import read_settings
from configs.state_dir import open_state_dir
from features.simulator.model.parameters import Company
from features.simulator.writer import write_company
from serving.scoring.champion_pointer import sync_champion
from training.registry.mlflow_registry import open_registry

DATASET = Path(__file__).parents[2] / "configs/datasets/simulated.toml"
DATASET_ENDS = "2026-07-01"
WARMUP_DAYS = 230  # leaves few days to learn from
DAYS_BETWEEN = 28
COPIES = 10  # simulating all of the accounts would take longer than all else
CHANGED_ACCOUNTS, COMPARED_ANSWERS = 1_000, 10_000
MEGABYTE = 1e6
# Accounts a request, clients at once.
LOADS = ((1, 1), (100, 1), (10, 4))
# Several threads of DuckDB add up in whatever order they finish, so two runs may differ in the last bit of a sum.
ONE_THREAD = {"OARLOCK_ENGINE__THREADS": "1"}
Variables = dict[str, str]


@dataclass(frozen=True)
class Topologies:
    """A company on both topologies: its settings file, and the environment of each."""

    config: Path
    embedded: Variables
    standard: Variables

    def stores(self) -> dict[str, Variables]:
        """The environments by where the online store and the ledger are."""
        no_url = {"OARLOCK_TOPOLOGY": "embedded"}
        ledger = {"OARLOCK_LEDGER__URL": self.standard["OARLOCK_LEDGER__URL"]}
        only_redis = {name: value for name, value in self.standard.items() if name != "OARLOCK_LEDGER__URL"}
        return {
            "SQLite, SQLite": self.embedded,
            "SQLite, Postgres": self.embedded | ledger,
            "Redis, SQLite": only_redis | no_url,
            "Redis, Postgres": self.standard,
        }


@dataclass(frozen=True)
class Restored:
    """A backup of `standard` that was taken under load, restored into `embedded`."""

    backup_seconds: float
    restore_seconds: float
    archive_mb: float
    compared_answers: int
    different_answers: int
    acknowledged_risks: int
    missing_risks: int
    failed_requests: int


@dataclass(frozen=True)
class Report:
    """Everything that was measured: the seconds of commands, and by pair of stores the figures of each load."""

    made: dict[str, float]
    equal: Equality
    stores: dict[str, list[dict[str, float]]]
    restored: Restored


def main() -> None:
    """Make the company, and print what each part came to."""
    arguments = _parse()
    with tempfile.TemporaryDirectory(dir=arguments.folder) as name, ExitStack() as stack:
        folder = Path(name)
        servers = Servers(arguments.postgres, arguments.redis)
        topologies, seconds = _make(folder, arguments, standard_stores(stack, servers, folder / "standard"))
        equal, stores = _compare(topologies, folder), _load_stores(topologies, arguments)
        report = Report(seconds, equal, stores, _back_up_under_load(topologies, folder))
    print(json.dumps(asdict(report), indent=1)) if arguments.json else _show(report)


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="`embedded` and `standard` beside each other.")
    parser.add_argument("--postgres", required=True)
    parser.add_argument("--redis", required=True)
    parser.add_argument("--accounts", type=int, default=110_000)
    parser.add_argument("--months", type=int, default=13)
    parser.add_argument("--seconds", type=float, default=10.0, help="of each load in each round")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--folder", type=Path, help="where temporary files go")
    parser.add_argument("--json", action="store_true")
    return parser.parse_args()


def _make(folder: Path, arguments: argparse.Namespace, standard: Variables) -> tuple[Topologies, dict[str, float]]:
    """Publish, fit and score a day on `embedded`, move that to `standard`, and publish a later day on both."""
    # A change is since a risk that was served by the end of a day, and these are served today.
    config, mapping, last = folder / "company.toml", folder / "mapping.toml", today(None)
    mapping.write_text(DATASET.read_text().replace(DATASET_ENDS, f"{last:%Y-%m-%d}"))
    config.write_text(
        f'state = "embedded"\n[data]\ndataset = "{mapping}"\nfolder = "{folder / "company"}"\n'
        f'[snapshots]\nwarmup_days = {WARMUP_DAYS}\nfrequency = "quarterly"\n'
    )
    topologies = Topologies(config, ONE_THREAD | {"OARLOCK_STATE": str(folder / "embedded")}, ONE_THREAD | standard)
    _say("simulating")
    start = (np.datetime64(last, "M") - arguments.months).astype("datetime64[D]").item()
    company = Company(accounts=arguments.accounts // COPIES, months=arguments.months + 1, start=start)
    write_company(company, folder / "simulated", workers=2)
    repeat_company(folder / "simulated", folder / "company", COPIES)
    _fit(topologies, last - timedelta(days=DAYS_BETWEEN))
    archive, publish = str(folder / "embedded.tar.zst"), ("publish", "--as-of", f"{last:%Y-%m-%d}")
    run(config, topologies.embedded, "score", "--all")
    return topologies, {
        "backup of embedded": _time(config, topologies.embedded, "backup", archive),
        "restore into standard": _time(config, topologies.standard, "restore", archive),
        "publish on embedded": _time(config, topologies.embedded, *publish),
        "publish on standard": _time(config, topologies.standard, *publish),
    }


def _fit(topologies: Topologies, day: datetime) -> None:
    with environment(topologies.embedded):
        settings = read_settings(topologies.config)
        state = open_state_dir(settings)
        registry = open_registry(state, settings.name)
        make_versions(settings, state, registry, day)
        sync_champion(state, registry)


def _time(config: Path, variables: Variables, *arguments: str) -> float:
    _say(" ".join(arguments))
    began = time.monotonic()
    run(config, variables, *arguments)
    return round(time.monotonic() - began, 1)


def _compare(topologies: Topologies, folder: Path) -> Equality:
    """Changes since the day before, and every risk with its drivers, from both topologies."""
    both = (topologies.embedded, topologies.standard)
    changes = [_changes(topologies, variables) for variables in both]
    files = [folder / f"{name}.parquet" for name in ("embedded", "standard")]
    for file, variables in zip(files, both, strict=True):
        _time(topologies.config, variables, "score", "--all", "--drivers", "3", "--output", str(file))
    return compare_answers(files, changes)


def _changes(topologies: Topologies, variables: Variables) -> dict[str, Answer]:
    _say("asking why risks changed")
    some = accounts(open_state_dir(_settings(topologies)))[:CHANGED_ACCOUNTS]
    command = ["oarlock.py", "--config", str(topologies.config), "serve", "--port={port}"]
    with serving(command, variables) as (_, port):
        wait_for_portfolio(port)
        return ask_for_changes(port, some, f"{today(None):%Y-%m-%d}")


def _load_stores(topologies: Topologies, arguments: argparse.Namespace) -> dict[str, list[dict[str, float]]]:
    """The figures of each pair of stores under each load: the median of the rounds."""
    everyone = accounts(open_state_dir(_settings(topologies)))
    rounds: dict[str, list[list[Figures]]] = {name: [] for name in topologies.stores()}
    for number in range(arguments.rounds):
        for name, variables in topologies.stores().items():
            _say(f"round {number + 1} of {arguments.rounds}: {name}")
            rounds[name].append(_load(topologies.config, variables, everyone, arguments.seconds))
    return {name: [_middle(loads) for loads in zip(*each, strict=True)] for name, each in rounds.items()}


def _settings(topologies: Topologies) -> Settings:
    with environment(topologies.embedded):
        return read_settings(topologies.config)


def _load(config: Path, variables: Variables, everyone: list[str], seconds: float) -> list[Figures]:
    figures: list[Figures] = []
    with serving(["oarlock.py", "--config", str(config), "serve", "--port={port}"], variables) as service:
        wait_for_portfolio(service[1])  # what is computed after the start is not what is measured
        for size, clients in LOADS:
            starts = range(0, min(len(everyone) - size, 200 * size) + 1, size)
            bodies = [{"account_ids": everyone[start : start + size], "drivers": 3} for start in starts]
            measure(service, "/v1/score", bodies, clients, 1.0)
            figures.append(measure(service, "/v1/score", bodies, clients, seconds))
    return figures


def _middle(figures: Sequence[Figures]) -> dict[str, float]:
    return {name: median(getattr(each, name) for each in figures) for name in asdict(figures[0])}


def _back_up_under_load(topologies: Topologies, folder: Path) -> Restored:
    """Back up `standard` while a client scores, restore that into `embedded`, and compare answers and ledger."""
    config, archive = topologies.config, folder / "standard.tar.zst"
    everyone = accounts(open_state_dir(_settings(topologies)))[:COMPARED_ANSWERS]
    elsewhere = ONE_THREAD | {"OARLOCK_STATE": str(folder / "restored")}
    with serving(["oarlock.py", "--config", str(config), "serve", "--port={port}"], topologies.standard) as (_, port):
        wait_for_portfolio(port)
        expected = ask_for_risks(port, everyone)
        with score_meanwhile(port, everyone[:5]) as load:
            before = load.acknowledged_and_stored(topologies.standard["OARLOCK_LEDGER__URL"])
            backup_seconds = _time(config, topologies.standard, "backup", str(archive))
    restore_seconds = _time(config, elsewhere, "restore", str(archive))
    _time(config, elsewhere, "publish")
    with serving(["oarlock.py", "--config", str(config), "serve", "--port={port}"], elsewhere) as (_, port):
        answers = ask_for_risks(port, everyone)
    return Restored(
        backup_seconds=backup_seconds,
        restore_seconds=restore_seconds,
        archive_mb=archive.stat().st_size / MEGABYTE,
        compared_answers=len(expected),
        different_answers=sum(expected[account] != answers.get(account) for account in expected),
        acknowledged_risks=len(before),
        missing_risks=len(before - recorded_requests(folder / "restored" / "company" / "ledger.db")),
        failed_requests=load.failed,
    )


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def _show(report: Report) -> None:
    console = Console(width=120)
    for title, figures in (
        ("Seconds", report.made),
        ("Equal", asdict(report.equal)),
        ("Backup", asdict(report.restored)),
    ):
        table = Table("", "", title=title)
        for name, value in figures.items():
            table.add_row(name.replace("_", " "), f"{value:,.1f}".removesuffix(".0"))
        console.print(table)
    table = Table(title="Online store, ledger: ratios to SQLite, SQLite in brackets")
    for column in ("stores", "accounts", "clients", "CPU ms", "req/s", "p50 ms", "p99 ms", "failed"):
        table.add_column(column, justify="right")
    for name, loads in report.stores.items():
        for load, figures, usual in zip(LOADS, loads, report.stores["SQLite, SQLite"], strict=True):
            cells = [
                f"{figures[f]:,.1f} ({figures[f] / usual[f]:.2f})" for f in ("cpu_ms", "per_second", "p50_ms", "p99_ms")
            ]
            table.add_row(name, *map(str, load), *cells, str(int(figures["failed"])))
    console.print(table)


if __name__ == "__main__":
    main()
