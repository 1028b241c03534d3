"""Partition pruning: a day reads only the part of the usage that its longest window needs."""

import json
from datetime import datetime, timedelta
from pathlib import Path

import ibis
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from configs.sections.publishing import DataSettings, EngineSettings
from features.compute.availability import available_signals
from features.compute.backends.base import Backend
from features.compute.backends.connect import open_backend
from features.compute.compute import compute_signals
from features.ingestion.reader import cast_tables, read_tables
from features.signals.registry import catalogue
from features.tables.dataset import read_dataset

START, AS_OF = datetime(2020, 1, 1), datetime(2023, 1, 1)
DAYS = (AS_OF - START).days
EVENTS_A_DAY = 200
MAPPING = """
name = "long"
[sources]
accounts = "accounts.parquet"
subscriptions = "subscriptions.parquet"
usage = "usage/*.parquet"
"""


def _write(folder: Path, stored_as: pa.DataType) -> None:
    """Three years of usage, a file a year and a row group a month, its instants stored as this type."""
    (folder / "usage").mkdir()
    (folder / "long.toml").write_text(MAPPING)
    begins = pa.array([START], pa.timestamp("us"))
    pq.write_table(pa.table({"account_id": ["a"], "created_at": begins}), folder / "accounts.parquet")
    subscription = {"account_id": ["a"], "subscription_id": ["s"], "mrr": [1.0], "started_at": begins}
    pq.write_table(pa.table(subscription), folder / "subscriptions.parquet")
    step = timedelta(days=1) / EVENTS_A_DAY
    for year in range(3):
        days = [number for number in range(DAYS * EVENTS_A_DAY) if number // (DAYS * EVENTS_A_DAY // 3 + 1) == year]
        instants = pa.array([START + step * number for number in days], pa.timestamp("us")).cast(stored_as)
        usage = {"account_id": ["a"] * len(days), "occurred_at": instants, "event": [str(n) for n in days]}
        pq.write_table(pa.table(usage), folder / f"usage/{year}.parquet", row_group_size=30 * EVENTS_A_DAY)


def _bytes_read(backend: Backend, rows: ibis.Table) -> int:
    (plan,) = backend.connection.raw_sql(
        f"explain (analyze, format json) {ibis.to_sql(rows, dialect='duckdb')}"
    ).fetchall()
    return json.loads(plan[1])["total_bytes_read"]


@pytest.mark.parametrize(
    "stored_as",
    [pa.timestamp("us"), pa.timestamp("ms"), pa.timestamp("us", tz="UTC"), pa.timestamp("ns")],
    ids=str,
)
def test_a_short_window_reads_a_fraction_of_the_usage(tmp_path: Path, stored_as: pa.DataType):
    _write(tmp_path, stored_as)
    dataset = read_dataset(DataSettings(dataset=tmp_path / "long.toml"))
    backend = open_backend(EngineSettings(threads=1), dataset)
    tables = cast_tables(read_tables(backend, dataset))
    signals = available_signals(tables, catalogue(), "named")
    signals_of_a_month = tuple(
        signal for signal in signals if signal.inputs[0] == "usage_days" and signal.days in {7, 28}
    )
    total_bytes = sum(file.stat().st_size for file in dataset.files["usage"])
    assert signals_of_a_month
    assert 0 < _bytes_read(backend, compute_signals(tables, signals_of_a_month, AS_OF)) < total_bytes / 100
