"""Merged accounts have the same signals on DuckDB and on Spark, by the day and compiled for several days."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from features.compute.compute import ComputeRequest, compile_signals, compute_signals
from features.publishing.open_dataset import OpenDataset
from features.signals.base import Signal
from tests.support.companies.compiled_catalogue import ValuesByAccount, with_inputs
from tests.support.companies.edge_case_company import AS_OF, write_company
from tests.support.companies.two_engines import SPARK, by_account, needs_spark, open_company
from tests.support.companies.value_differences import find_differences

DAYS = [AS_OF - timedelta(days=days) for days in (30, 12, 5, 0)]
MERGES = {
    "account_id": ["busy", "calm"],
    "merged_into": ["calm", "twin"],
    "merged_at": [AS_OF - timedelta(days=20), AS_OF - timedelta(days=10)],
    "recorded_at": [None, AS_OF - timedelta(days=8)],
}


def _open(folder: Path, engine: str = "") -> OpenDataset:
    mapping = write_company(folder)
    schema = pa.schema([(name, pa.timestamp("us") if name.endswith("_at") else pa.string()) for name in MERGES])
    pq.write_table(pa.table(MERGES, schema), folder / "account_merges.parquet")
    mapping.write_text(f'{mapping.read_text()}account_merges = "account_merges.parquet"\n')
    return open_company(mapping, engine)


def _values(opened: OpenDataset, signals: tuple[Signal, ...], days: Sequence[datetime] = DAYS) -> list[ValuesByAccount]:
    return [by_account(compute_signals(opened.tables, signals, day).to_pyarrow()) for day in days]


def test_accounts_are_at_risk_until_their_merge_is_known(tmp_path: Path):
    opened = _open(tmp_path)
    at_risk = [{"busy", "calm", "twin"} & rows.keys() for rows in _values(opened, with_inputs({"mrr"}))]
    assert at_risk == [{"busy", "calm", "twin"}, {"calm", "twin"}, {"twin"}, {"twin"}]


def test_days_compiled_at_once_equal_days_by_themselves(tmp_path: Path):
    opened = _open(tmp_path)
    signals, days = opened.history.signals, DAYS[1:3]  # after one merge, and after both
    rows_on = compile_signals(opened.backend, opened.tables, ComputeRequest(signals, days))
    for day, values in zip(days, _values(opened, signals, days), strict=True):
        assert find_differences(by_account(rows_on(day)), values) == []


@pytest.mark.slow
@needs_spark
def test_spark_gives_the_same_values(tmp_path: Path):
    opened = _open(tmp_path / "duckdb")
    on_spark = _open(tmp_path / "spark", SPARK)
    signals = opened.history.signals
    for actual, values in zip(_values(on_spark, signals), _values(opened, signals), strict=True):
        assert find_differences(actual, values) == []
