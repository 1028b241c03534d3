"""A day and a history that are published on a real Spark cluster equal those of DuckDB, value by value."""

import os
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest

from configs.state_dir import StateDir
from features.store.history import published_history
from features.tables.contract import ACCOUNT_ID
from tests.support.companies.growing_company import TODAY, Company, create_company
from tests.support.companies.two_engines import needs_spark
from tests.support.paths import ROOT
from tests.support.spark_cluster import run_spark_cluster

pytestmark = [pytest.mark.slow, needs_spark]
OPTIONS = (
    '{ "spark.executor.memory" = "512m", "spark.sql.shuffle.partitions" = "2", "spark.driver.host" = "127.0.0.1" }'
)


def _published(state: StateDir) -> dict[str, pd.DataFrame]:
    """The signals of each family and day that is in the history."""
    history, _ = published_history(state)
    return {
        f"{file.parent.name}/{file.stem}": pd.read_parquet(file).sort_values(ACCOUNT_ID).reset_index(drop=True)
        for file in sorted(history.folder.glob("days/*/*.parquet"))
    }


def test_a_day_and_a_history_of_a_cluster_equal_those_of_duckdb(published_company: Company, tmp_path: Path):
    with run_spark_cluster(tmp_path / "cluster") as cluster:
        company = create_company(tmp_path / "company")
        config = company.folder / "growing.toml"
        engine = f'[engine]\nkind = "spark"\nmaster = "{cluster.url}"\noptions = {OPTIONS}\n'
        config.write_text(config.read_text() + engine)
        command = [sys.executable, str(ROOT / "oarlock.py"), "--config", str(config), "publish"]
        command += ["--as-of", f"{TODAY:%Y-%m-%d}"]
        variables = os.environ | {"SPARK_LOCAL_IP": "127.0.0.1"}
        result = subprocess.run(command, env=variables, capture_output=True, text=True, check=False)
        assert result.returncode == 0, result.stderr
        assert all(count >= 1 for count in cluster.executors())
    on_cluster, expected = _published(company.state), _published(published_company.state)
    assert on_cluster.keys() == expected.keys()
    for name, signals in on_cluster.items():
        pd.testing.assert_frame_equal(signals, expected[name], rtol=1e-12)
