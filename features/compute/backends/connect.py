"""Opens the backend that the settings name."""

# pyright: reportMissingImports=false
from pathlib import Path

from configs.errors import DataError
from configs.settings import EngineSettings
from features.compute.backends.base import Engine, first_line
from features.compute.backends.duckdb import _duckdb
from features.compute.backends.spark import _spark
from features.compute.backends.sql_cache import Queries
from features.tables.mapping import Dataset


def open_engine(settings: EngineSettings, dataset: Dataset, queries: Path | None = None) -> Engine:
    """The engine of the settings, in which every source of the data set is a view; `queries` is where it keeps its own.

    Raises ConfigError where the engine is not installed, DataError for a file that cannot be read.
    """
    engine = _spark(settings) if settings.kind == "spark" else _duckdb(settings, Queries(queries))
    for source, files in dataset.files.items():
        try:
            engine.view(source, [str(file) for file in files])
        except engine.refusals as problem:
            raise DataError(f"{files[0]} cannot be read: {first_line(problem)}.", "Is it Parquet or CSV?") from None
    return engine
