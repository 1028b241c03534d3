"""A company of forty accounts that use the product every day; its files grow from month to month."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from configs.settings import Settings
from configs.settings_file import read_settings
from configs.state_dir import StateDir, open_state_dir
from tests.support.trained_model import copy_folder

START, TODAY = datetime(2023, 1, 1), datetime(2023, 8, 1)
ACCOUNTS = [f"account-{number:02}" for number in range(40)]
CONFIG = 'state = "state"\n[data]\ndataset = "company.toml"\n[snapshots]\nwarmup_days = 100\n'
# Some of each family of the built-in ones: compiling all of them takes longer than all else in a publish.
SIGNALS = frozenset(
    {
        *("events_7d", "events_28d", "events_trend_28d", "active_days_28d", "days_since_event_182d"),
        *("events_per_mrr_28d", "mrr", "mrr_change_91d", "tenure", "seats", "renewals", "account_age"),
    }
)
MAPPING = """
name = "growing"
[sources]
accounts = "accounts.parquet"
subscriptions = "subscriptions.parquet"
usage = "usage/*.parquet"
"""
Rows = list[dict]


@dataclass(frozen=True)
class Company:
    """The folder with a growing company's files, and the settings and state to publish it."""

    folder: Path
    settings: Settings
    state: StateDir


def create_company(folder: Path) -> Company:
    """Write the company's files up to `TODAY`, with one usage file per month."""
    (folder / "usage").mkdir(parents=True)
    (folder / "company.toml").write_text(MAPPING)
    (folder / "growing.toml").write_text(f"{CONFIG}[signals]\nexclude = {json.dumps(excluded_signals())}\n")
    _write(folder / "accounts.parquet", [{"account_id": account_id, "created_at": START} for account_id in ACCOUNTS])
    terms = {"mrr": 100.0, "started_at": START, "ended_at": None, "seats": 5.0}
    subscriptions = [{"account_id": account_id, "subscription_id": account_id, **terms} for account_id in ACCOUNTS]
    _write(folder / "subscriptions.parquet", subscriptions)
    for month in range(START.month, TODAY.month):
        _write(folder / f"usage/{month:02}.parquet", usage_rows(datetime(2023, month, 1), datetime(2023, month + 1, 1)))
    return _open_company(folder)


def excluded_signals() -> list[str]:
    """The built-in signals that such a company does without."""
    from features.signals.registry import catalogue

    return sorted({signal.name for signal in catalogue()} - SIGNALS)


def copy_company(company: Company, folder: Path) -> Company:
    """Copy a company with what was published of it; a test may change the copy."""
    return _open_company(copy_folder(company.folder, folder))


def _open_company(folder: Path) -> Company:
    settings = read_settings(folder / "growing.toml")
    return Company(folder, settings, open_state_dir(settings))


def usage_rows(start: datetime, end: datetime) -> Rows:
    """One event a day of each account, from `start` up to, not including, `end`."""
    days = [start + timedelta(days=number) for number in range((end - start).days)]
    return [
        {
            "account_id": account_id,
            "event": "login",
            "occurred_at": day + timedelta(hours=9),
            "quantity": 1.0 + number % 3,
        }
        for day in days
        for number, account_id in enumerate(ACCOUNTS)
    ]


def rewrite_rows(file: Path, change: Callable[[dict], dict | None]) -> None:
    """Change the rows of a file one by one; a row for which `change` returns None is removed."""
    table = pq.read_table(file)
    rows = [changed for row in table.to_pylist() if (changed := change(row)) is not None]
    pq.write_table(pa.Table.from_pylist(rows, table.schema), file)


def _write(file: Path, rows: Rows) -> None:
    instants = {"created_at", "started_at", "ended_at", "occurred_at"}
    numbers = {"mrr", "seats", "quantity"}
    types = {name: pa.timestamp("us") if name in instants else pa.string() for name in rows[0]}
    schema = pa.schema({**types, **{name: pa.float64() for name in rows[0] if name in numbers}})
    pq.write_table(pa.Table.from_pylist(rows, schema), file)
