"""A living company: forty accounts that use the product every day, its files growing as time goes on."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from configs.settings import Settings, read_settings
from configs.state_dir import StateDir, open_state_dir

BEGINS, TODAY = datetime(2023, 1, 1), datetime(2023, 8, 1)
ACCOUNTS = [f"account-{number:02}" for number in range(40)]
CONFIG = 'state = "state"\n[data]\ndataset = "company.toml"\n[snapshots]\nwarmup_days = 100\n'
MAPPING = """
name = "living"
[sources]
accounts = "accounts.parquet"
subscriptions = "subscriptions.parquet"
usage = "usage/*.parquet"
"""
Rows = list[dict]


@dataclass(frozen=True)
class Company:
    """Where a living company keeps its files, with the settings and state to publish it."""

    folder: Path
    settings: Settings
    state: StateDir


def found(folder: Path) -> Company:
    """Write the company's files up to `TODAY`, its usage a file a month."""
    (folder / "usage").mkdir(parents=True)
    (folder / "company.toml").write_text(MAPPING)
    (folder / "living.toml").write_text(CONFIG)
    _write(folder / "accounts.parquet", [{"account_id": one, "created_at": BEGINS} for one in ACCOUNTS])
    subscribed = {"mrr": 100.0, "started_at": BEGINS, "ended_at": None, "seats": 5.0}
    subscriptions = [{"account_id": one, "subscription_id": one, **subscribed} for one in ACCOUNTS]
    _write(folder / "subscriptions.parquet", subscriptions)
    for month in range(BEGINS.month, TODAY.month):
        _write(folder / f"usage/{month:02}.parquet", usage(datetime(2023, month, 1), datetime(2023, month + 1, 1)))
    settings = read_settings(folder / "living.toml")
    return Company(folder, settings, open_state_dir(settings))


def usage(first: datetime, last: datetime) -> Rows:
    """One event a day of every account, from `first` up to `last`."""
    days = [first + timedelta(days=number) for number in range((last - first).days)]
    return [
        {"account_id": one, "event": "login", "occurred_at": day + timedelta(hours=9), "quantity": 1.0 + number % 3}
        for day in days
        for number, one in enumerate(ACCOUNTS)
    ]


def rewrite(file: Path, change: Callable[[dict], dict | None]) -> None:
    """Correct the rows of a file one by one; None takes a row away."""
    table = pq.read_table(file)
    rows = [changed for row in table.to_pylist() if (changed := change(row)) is not None]
    pq.write_table(pa.Table.from_pylist(rows, table.schema), file)


def silent(step: str, done: int, of: int) -> None:
    """A progress that nobody watches."""


def _write(file: Path, rows: Rows) -> None:
    instants = {"created_at", "started_at", "ended_at", "occurred_at"}
    numbers = {"mrr", "seats", "quantity"}
    kinds = {name: pa.timestamp("us") if name in instants else pa.string() for name in rows[0]}
    schema = pa.schema({**kinds, **{name: pa.float64() for name in rows[0] if name in numbers}})
    pq.write_table(pa.Table.from_pylist(rows, schema), file)
