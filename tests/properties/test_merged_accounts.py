"""Merged accounts have the same signals on DuckDB and on Spark, by the day and compiled for several days."""

import importlib.util
import shutil
from datetime import timedelta
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from configs.settings import read_settings
from configs.state_dir import open_state_dir
from features.compute.compute import ComputeRequest, compile_signals, compute_signals
from features.publishing.pipeline import OpenDataset, open_dataset
from features.signals.base import Signal
from tests.support.companies.compiled_catalogue import ValuesByAccount, with_inputs
from tests.support.companies.edge_case_company import AS_OF, write_company
from tests.support.companies.value_differences import find_differences

HAS_SPARK = importlib.util.find_spec("pyspark") is not None
needs_spark = pytest.mark.skipif(not (HAS_SPARK and shutil.which("java")), reason="pyspark or java is not installed")
SPARK = '[engine]\nkind = "spark"\nmaster = "local[2]"\noptions = { "spark.sql.shuffle.partitions" = "2" }\n'
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
    config = folder / "company_settings.toml"
    config.write_text(f'[data]\ndataset = "{mapping.name}"\n{engine}')
    settings = read_settings(config)
    return open_dataset(settings, open_state_dir(settings))


def _by_account(rows: pa.Table) -> ValuesByAccount:
    return {row.pop("account_id"): row for row in rows.to_pylist()}


def _values(opened: OpenDataset, signals: tuple[Signal, ...]) -> list[ValuesByAccount]:
    return [_by_account(compute_signals(opened.tables, signals, day).to_pyarrow()) for day in DAYS]


def test_accounts_are_at_risk_until_their_merge_is_known(tmp_path: Path):
    opened = _open(tmp_path)
    at_risk = [{"busy", "calm", "twin"} & rows.keys() for rows in _values(opened, with_inputs({"mrr"}))]
    assert at_risk == [{"busy", "calm", "twin"}, {"calm", "twin"}, {"twin"}, {"twin"}]


def test_days_compiled_at_once_equal_days_by_themselves(tmp_path: Path):
    opened = _open(tmp_path)
    signals = opened.history.signals
    rows_on = compile_signals(opened.backend, opened.tables, ComputeRequest(signals, DAYS))
    for day, values in zip(DAYS, _values(opened, signals), strict=True):
        assert find_differences(_by_account(rows_on(day)), values) == []


@pytest.mark.slow
@needs_spark
def test_spark_gives_the_same_values(tmp_path: Path):
    opened = _open(tmp_path / "duckdb")
    on_spark = _open(tmp_path / "spark", SPARK)
    signals = opened.history.signals
    for actual, values in zip(_values(on_spark, signals), _values(opened, signals), strict=True):
        assert find_differences(actual, values) == []
