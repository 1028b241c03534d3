"""Trials, pauses and free plans: the settings reach the signals and the history, alike on DuckDB and on Spark."""

from datetime import timedelta
from pathlib import Path

import pytest

from features.compute.compute import compute_signals
from features.publishing.open_dataset import OpenDataset
from tests.support.companies.compiled_catalogue import with_inputs
from tests.support.companies.edge_case_company import AS_OF, write_company
from tests.support.companies.two_engines import SPARK, by_account, needs_spark, open_company
from tests.support.companies.value_differences import find_differences

COLUMNS = """[tables]
subscriptions = '''select account_id, subscription_id, plan, seats, mrr, started_at, ended_at, renews_at, recorded_at,
started_at + interval 40 day as trial_until, started_at + interval 60 day as paused_from,
case when seats > 10 then started_at + interval 90 day end as paused_until, mrr < 50 as is_free from subscriptions'''
"""
ALL_CUT = "[label]\npauses_at_risk = false\nfree_plans_at_risk = false\n"
DEPARTURES = f"{ALL_CUT}pause_is_departure = true\ntrials_at_risk = true\n"
DAYS = [AS_OF - timedelta(days=days) for days in (300, 100, 0)]


def _open(folder: Path, settings: str, engine: str = "") -> OpenDataset:
    mapping = write_company(folder)
    mapping.write_text(mapping.read_text() + COLUMNS)
    return open_company(mapping, engine + settings)


def test_each_setting_has_a_history_of_its_own(tmp_path: Path):
    opened = [_open(tmp_path, settings) for settings in ("", ALL_CUT, DEPARTURES)]
    assert len({dataset.history.folder for dataset in opened}) == 3
    assert len({dataset.count_rows()["subscriptions"] for dataset in opened}) == 1
    mrr = [by_account(compute_signals(data.tables, with_inputs({"mrr"}), AS_OF).to_pyarrow()) for data in opened]
    assert len(mrr[0]) > len(mrr[1]) > 0


@pytest.mark.slow
@needs_spark
@pytest.mark.parametrize("settings", ["", ALL_CUT, DEPARTURES], ids=["default", "all_cut", "departures"])
def test_spark_gives_the_same_values(tmp_path: Path, settings: str):
    opened = _open(tmp_path / "duckdb", settings)
    on_spark = _open(tmp_path / "spark", settings, SPARK)
    signals = with_inputs({"mrr", "tenure", "renewals", "mrr_change_91d"})
    for day in DAYS:
        values = [by_account(compute_signals(data.tables, signals, day).to_pyarrow()) for data in (opened, on_spark)]
        assert find_differences(values[1], values[0]) == []
