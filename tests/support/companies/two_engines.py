"""Companies that are opened on DuckDB and on Spark, to compare their signals."""

import importlib.util
import shutil
from pathlib import Path

import pyarrow as pa
import pytest

from configs.settings_file import read_settings
from configs.state_dir import open_state_dir
from features.publishing.open_dataset import OpenDataset, open_dataset
from tests.support.companies.compiled_catalogue import ValuesByAccount

SPARK = '[engine]\nkind = "spark"\nmaster = "local[2]"\noptions = { "spark.sql.shuffle.partitions" = "2" }\n'
needs_spark = pytest.mark.skipif(
    not (importlib.util.find_spec("pyspark") and shutil.which("java")), reason="pyspark or java is not installed"
)


def open_company(mapping: Path, settings: str) -> OpenDataset:
    """The tables of a mapping with these settings, written beside it."""
    config = mapping.with_name("settings.toml")
    config.write_text(f'[data]\ndataset = "{mapping.name}"\n{settings}')
    read = read_settings(config)
    return open_dataset(read, open_state_dir(read))


def by_account(rows: pa.Table) -> ValuesByAccount:
    """The signals of each account."""
    return {row.pop("account_id"): row for row in rows.to_pylist()}
