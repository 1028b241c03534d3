"""A soak: publish day after day while a service answers, and say what grows.

    python -m benchmarks.serving.soak [--days 1000] [--seconds 10] [--postgres URL --redis URL] [--json]

On SQLite and files; with --postgres and --redis also on those, with schemas and keys of its own that are removed at the
end. Each publish is of a new day of a company of 300 accounts that come and go. One client scores five accounts at a
time: for some seconds after the first and after the last publish (quiet), and while the first and the last tenth of the
days are published (busy).
"""

import argparse
import json
import os
import sys
import tempfile
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from pathlib import Path
from statistics import median

import redis
import sqlalchemy as sql
from rich.console import Console
from rich.table import Table

from benchmarks.serving.fixtures import accounts
from benchmarks.serving.load_generator import Figures, measure, serving
from benchmarks.serving.soak_company import first_day, make_models, write_company
from benchmarks.serving.standard_stores import MLFLOW, Servers, environment, standard_stores
from configs.settings import Settings
from configs.settings_file import read_settings
from configs.state_dir import StateDir, open_state_dir
from features.publishing.pipeline import PublishRequest, publish

NICE = 10  # publishing leaves the processor to the service, as an operator would have it
BUSY_SECONDS = 20.0
DAYS_TO_LEARN_FROM = 500
MEGABYTE = 1e6
LEDGER = ("ledger", "audit")
Service = tuple[int, int]


@dataclass(frozen=True)
class Window:
    """The service during some part of the soak."""

    publish_seconds: float
    quiet_p99_ms: float
    busy_p99_ms: float
    failed: int
    worker_mb: float
    registry_mb: float
    history_files: int
    state_mb: float
    live_accounts: int
    redis_keys: int | None


@dataclass(frozen=True)
class Soak:
    """A topology, how many days were published, and the first and the last of them."""

    topology: str
    days: int
    seconds: float
    first: Window
    last: Window


def main() -> None:
    """Publish the days on each topology, and print what grew."""
    arguments = _parse()
    os.nice(NICE)
    topologies = ["standard"] if arguments.postgres and arguments.redis else ["embedded"]
    soaks = [_soak(topology, arguments) for topology in topologies]
    if arguments.json:
        print(json.dumps([asdict(soak) for soak in soaks], indent=1))
    else:
        _show(soaks)


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Publish day after day while a service answers, and say what grows.")
    parser.add_argument("--days", type=int, default=1_000)
    parser.add_argument("--seconds", type=float, default=10.0, help="of load in a quiet window")
    parser.add_argument("--postgres")
    parser.add_argument("--redis")
    parser.add_argument("--json", action="store_true")
    return parser.parse_args()


def _soak(topology: str, arguments: argparse.Namespace) -> Soak:
    days = max(arguments.days, DAYS_TO_LEARN_FROM)
    with tempfile.TemporaryDirectory() as name, ExitStack() as stack:
        folder = Path(name)
        config = write_company(folder / "company", days)
        is_standard = topology == "standard"
        fitting, publishing = (
            standard_stores(stack, Servers(arguments.postgres, arguments.redis), folder / part)
            if is_standard
            else {"OARLOCK_STATE": str(folder / part)}
            for part in ("fitting", "publishing")
        )
        if is_standard:  # both use one MLflow
            publishing |= {name: fitting[name] for name in MLFLOW}
        with environment(fitting):
            make_models(config, first_day() + timedelta(days=days), StateDir(folder / "publishing" / "soak"))
        with environment(publishing):
            return _publish_days(topology, config, arguments)


def _publish_days(topology: str, config: Path, arguments: argparse.Namespace) -> Soak:
    settings = read_settings(config)
    state, days = open_state_dir(settings), [first_day() + timedelta(days=day) for day in range(arguments.days)]
    tenth, began = max(1, arguments.days // 10), time.monotonic()
    _publish(settings, state, days[:1])
    with serving(["oarlock.py", "--config", str(config), "serve", "--port", "{port}"], {}) as service:
        busy = _publish_under_load(settings, state, days[1 : 1 + tenth], service)
        first = _window(state, service, busy, arguments.seconds)
        _publish(settings, state, days[1 + tenth : -tenth])
        busy = _publish_under_load(settings, state, days[-tenth:], service)
        last = _window(state, service, busy, arguments.seconds)
    return Soak(topology, arguments.days, time.monotonic() - began, first, last)


def _publish(settings: Settings, state: StateDir, days: Sequence[datetime]) -> float:
    """Publish days one after another; returns the seconds of the one in the middle."""
    seconds: list[float] = []
    for day in days:
        began = time.monotonic()
        publish(settings, state, PublishRequest(day), lambda *_: None)
        seconds.append(time.monotonic() - began)
        print(f"{day:%Y-%m-%d} published in {seconds[-1]:.2f} s", file=sys.stderr, flush=True)
    return median(seconds) if seconds else 0.0


def _publish_under_load(
    settings: Settings, state: StateDir, days: Sequence[datetime], service: Service
) -> tuple[float, Figures]:
    """Publish days while a client scores; returns the seconds of a publish, and the client's figures."""
    with ThreadPoolExecutor(1) as thread:
        load = thread.submit(_score, state, service, BUSY_SECONDS)
        seconds = [_publish(settings, state, days[:1])]
        remaining = iter(days[1:])
        while not load.done() and (day := next(remaining, None)):
            seconds.append(_publish(settings, state, [day]))
        figures = load.result()
    seconds += [_publish(settings, state, [day]) for day in remaining]
    return median(seconds), figures


def _score(state: StateDir, service: Service, seconds: float) -> Figures:
    online = accounts(state)
    bodies = [{"account_ids": online[start : start + 5], "drivers": 3} for start in range(0, len(online) - 5, 5)]
    return measure(service, "/v1/score", bodies, 1, seconds)


def _window(state: StateDir, service: Service, busy: tuple[float, Figures], seconds: float) -> Window:
    quiet = _score(state, service, seconds)
    stored = [file for file in state.folder.rglob("*") if file.is_file() and not file.is_symlink()]
    files = [file for file in stored if not file.name.startswith(LEDGER)]  # every request adds risks to the ledger
    return Window(
        publish_seconds=busy[0],
        quiet_p99_ms=quiet.p99_ms,
        busy_p99_ms=busy[1].p99_ms,
        failed=quiet.failed + busy[1].failed,
        worker_mb=quiet.worker_mb,
        registry_mb=_registry_bytes(state) / MEGABYTE,
        history_files=sum(file.is_relative_to(state.history) for file in files),
        state_mb=sum(file.stat().st_size for file in files) / MEGABYTE,
        live_accounts=len(accounts(state)),
        redis_keys=_count_rows(state),
    )


def _registry_bytes(state: StateDir) -> int:
    """The size of Feast's registry: of its file, or of its tables with their indexes."""
    if state.stores.feast_registry is None:
        return (state.feast / "registry.db").stat().st_size
    engine = sql.create_engine(state.stores.feast_registry.get_secret_value().replace("://", "+psycopg://", 1))
    size = "select sum(pg_total_relation_size(oid)) from pg_class where relnamespace = current_schema()::regnamespace"
    with engine.connect() as connection:
        return int(connection.execute(sql.text(f"{size} and relkind = 'r'")).scalar_one())


def _count_rows(state: StateDir) -> int | None:
    """The rows of accounts in Redis; None without Redis."""
    if state.stores.online is None:
        return None
    with redis.Redis.from_url(state.stores.online.get_secret_value()) as client:
        return sum(1 for _ in client.scan_iter(match=f"{state.online_prefix}:row:*", count=1_000))


def _show(soaks: list[Soak]) -> None:
    for soak in soaks:
        table = Table(title=f"{soak.topology}: {soak.days} publishes in {soak.seconds:.0f} s")
        for title in ("", "first day", "last day", "ratio"):
            table.add_column(title, justify="right")
        for name, before in asdict(soak.first).items():
            after = getattr(soak.last, name)
            if before is not None:
                table.add_row(name, f"{before:,.2f}", f"{after:,.2f}", f"{after / before:.2f}" if before else "")
        Console().print(table)


if __name__ == "__main__":
    main()
