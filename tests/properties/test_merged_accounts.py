"""Merged accounts have the same signals on DuckDB and on Spark, by the day and compiled for several days."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from random import Random

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from configs.sections.publishing import EngineSettings
from features.compute.backends.base import Backend
from features.compute.backends.duckdb import open_duckdb
from features.compute.compute import ComputeRequest, compile_signals, compute_signals
from features.compute.usage_rollups import RollupPlan, materialize_rollups
from features.ingestion.reader import cast_tables
from features.publishing.open_dataset import OpenDataset
from features.signals.base import Signal
from features.signals.registry import catalogue
from features.tables.account_merges import assign_rows
from features.tables.own_contract import extend_contract
from features.tables.raw_table import RawTable
from tests.support.companies.compiled_catalogue import ValuesByAccount, with_inputs
from tests.support.companies.edge_case_company import AS_OF, write_company
from tests.support.companies.random_companies import random_company
from tests.support.companies.raw_tables import unchecked_tables
from tests.support.companies.two_engines import SPARK, by_account, needs_spark, open_company
from tests.support.companies.value_differences import find_differences

DAYS = [AS_OF - timedelta(days=days) for days in (30, 12, 5, 0)]
CLOSE_DAYS = [AS_OF - timedelta(days=days) for days in (61, 60, 33, 0)]
USAGE_SIGNALS = tuple(signal for signal in catalogue() if signal.table and signal.table.source == "usage")
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


@pytest.mark.parametrize("seed", [0, 1, *(pytest.param(seed, marks=pytest.mark.slow) for seed in (2, 3))])
def test_days_of_any_company_compiled_at_once_equal_days_by_themselves(seed: int):
    backend = open_duckdb(EngineSettings(threads=1))
    tables = _merged_company(seed, backend)
    plan = RollupPlan(CLOSE_DAYS, {"usage_days": 182, "presence": 182, "usage_kinds": 182, "usage_people": 182})
    assert {"usage_by_day", "usage_kinds", "usage_people"} <= materialize_rollups(backend, tables, plan).keys()
    rolled_up = compile_signals(backend, tables, ComputeRequest(USAGE_SIGNALS, CLOSE_DAYS))
    alone = backend.compile_for_instants(lambda day: compute_signals(tables, USAGE_SIGNALS, day))
    for day in CLOSE_DAYS:
        assert find_differences(by_account(rolled_up(day)), by_account(alone(day))) == []


def _merged_company(seed: int, backend: Backend) -> dict[str, RawTable]:
    """A random company of which accounts are merged into later ones, some in chains and some recorded late."""
    random = Random(seed)
    company = random_company(seed + 100, accounts=9)
    if seed % 2:  # only then are distinct people rolled up, too
        company["usage"] = [{name: v for name, v in row.items() if name != "recorded_at"} for row in company["usage"]]
    names = [f"A{number}" for number in range(9)]
    merges = [
        {"account_id": old, "merged_into": random.choice(names[number + 1 :]), "merged_at": at, "recorded_at": late}
        for number, old in enumerate(names[:6])
        for at in [AS_OF - timedelta(days=random.choice((200, 70, 61, 40, 33, 5, -5)))]
        for late in [random.choice((None, at + timedelta(days=20)))]
    ]
    contract = extend_contract((), mapped={"account_merges"})
    raw = unchecked_tables(contract, {**company, "account_merges": merges})
    create = backend.create_table
    assert create
    stored = {name: create(f"raw_{name}", table.rows.to_pyarrow()) for name, table in raw.items()}
    read = cast_tables({name: replace(table, rows=stored[name]) for name, table in raw.items()})
    return assign_rows(read, lambda owners: create("account_owners", owners))


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
    signals, days = opened.history.signals, DAYS[1:3]  # after one merge, and after both
    for actual, values in zip(_values(on_spark, signals, days), _values(opened, signals, days), strict=True):
        assert find_differences(actual, values) == []
