"""The company of the soak: accounts that come and go and use the product, and two versions of a model made on it."""

import json
import random
import shutil
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from benchmarks.serving.fixtures import make_versions
from configs.settings_file import read_settings
from configs.state_dir import StateDir, open_state_dir
from training.registry.mlflow_registry import open_registry

ACCOUNTS = 300
START = datetime(2020, 1, 1)
WARMUP_DAYS = 120
MEAN_LIFE_DAYS = 500
SIGNALS = {
    *("events_7d", "events_28d", "events_trend_28d", "active_days_28d", "days_since_event_182d"),
    *("events_per_mrr_28d", "mrr", "mrr_change_91d", "tenure", "seats", "renewals", "account_age"),
}
Rows = list[dict[str, object]]


def write_company(folder: Path, days: int) -> Path:
    """Write the tables and the settings file of a company with so many days to publish; gives the file's path."""
    from features.signals.registry import catalogue

    folder.mkdir(parents=True)
    until = first_day() + timedelta(days=days)
    lives = list(_lives(until))
    _write(folder / "accounts.parquet", [{"account_id": name, "created_at": start} for name, start, _ in lives])
    _write(folder / "subscriptions.parquet", [_subscription(*life) for life in lives])
    _write(folder / "usage.parquet", [event for life in lives for event in _events(*life, until=until)])
    sources = "\n".join(f'{name} = "{name}.parquet"' for name in ("accounts", "subscriptions", "usage"))
    mapping = f'name = "soak"\nobserved_until = {until.isoformat()}Z\n[sources]\n{sources}\n'
    (folder / "mapping.toml").write_text(mapping)
    excluded = json.dumps(sorted({signal.name for signal in catalogue()} - SIGNALS))
    config = folder / "soak.toml"
    config.write_text(
        'state = "state"\n[data]\ndataset = "mapping.toml"\n'
        f"[snapshots]\nwarmup_days = {WARMUP_DAYS}\n[signals]\nexclude = {excluded}\n"
    )
    return config


def first_day() -> datetime:
    """The first day that the soak publishes."""
    return START + timedelta(days=WARMUP_DAYS)


def make_models(config: Path, until: datetime, target: StateDir) -> None:
    """Publish the last day elsewhere, fit two versions on it, and give them to a state that begins at the first."""
    settings = read_settings(config)
    state = open_state_dir(settings)
    make_versions(settings, state, open_registry(state, settings.name), until)
    if state.stores.mlflow is None:
        shutil.copytree(state.mlflow, target.mlflow)


def _lives(until: datetime) -> Iterator[tuple[str, datetime, datetime | None]]:
    """Each account with its first day and its last, None if it stays: as many come as go."""
    chance, number = random.Random(7), 0
    for _ in range(ACCOUNTS):
        start = START - timedelta(days=chance.randrange(30))
        while start < until:
            end = start + timedelta(days=30 + int(chance.expovariate(1 / MEAN_LIFE_DAYS)))
            yield f"account-{number:05}", start, end if end < until else None
            start, number = end + timedelta(days=1 + chance.randrange(20)), number + 1


def _subscription(name: str, start: datetime, end: datetime | None) -> dict[str, object]:
    return {
        "account_id": name,
        "subscription_id": name,
        "mrr": 100.0,
        "started_at": start,
        "ended_at": end,
        "seats": 5.0,
    }


def _events(name: str, start: datetime, end: datetime | None, *, until: datetime) -> Iterator[dict[str, object]]:
    """An event on most days, and on few in the last month before the account goes."""
    chance, day = random.Random(name), start
    while day < (end or until):
        is_leaving = end is not None and (end - day).days < 30
        if chance.random() < (0.2 if is_leaving else 0.7):
            yield {"account_id": name, "event": "login", "occurred_at": day + timedelta(hours=9), "quantity": 1.0}
        day += timedelta(days=1)


def _write(file: Path, rows: Rows) -> None:
    kinds = {"mrr": pa.float64(), "seats": pa.float64(), "quantity": pa.float64()}
    instant = ("created_at", "started_at", "ended_at", "occurred_at")
    kinds |= {name: pa.timestamp("us") for name in instant}
    schema = pa.schema({name: kinds.get(name, pa.string()) for name in rows[0]})
    pq.write_table(pa.Table.from_pylist(rows, schema), file)
