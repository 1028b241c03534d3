"""Opens the backend that the settings name."""

from pathlib import Path

from configs.errors import DataError
from configs.sections.publishing import EngineSettings
from features.compute.backends.base import Backend, describe
from features.compute.backends.duckdb import open_duckdb
from features.compute.backends.spark import open_spark
from features.compute.backends.spill_folder import SPILL
from features.tables.dataset import Dataset
from features.tables.mapping import is_text


def open_backend(settings: EngineSettings, dataset: Dataset, converted: Path | None = None) -> Backend:
    """The backend of the settings, with a view for every source of Parquet files. CSV files are converted first.

    DuckDB reads these files and those in the folder `converted`, and nothing else; what it cannot keep in memory goes
    to a folder of its own beside that.

    Raises ConfigError if the backend is not installed, DataError for a file that cannot be read.
    """
    backend = open_spark(settings) if settings.kind == "spark" else _open_duckdb(settings, dataset, converted)
    for source, files in dataset.files.items():
        if not any(is_text(file) for file in files):
            create_view(backend, source, [str(file) for file in files])
    return backend


def _open_duckdb(settings: EngineSettings, dataset: Dataset, converted: Path | None) -> Backend:
    spill, folders = (converted.parent / SPILL, [converted]) if converted else (None, [])
    return open_duckdb(settings, spill, files=dataset.all_files, folders=folders)


def create_view(backend: Backend, source: str, paths: list[str]) -> None:
    """Make a view of Parquet files; raises DataError if the backend cannot read them."""
    try:
        backend.create_view(source, paths)
    except backend.error_types as error:
        raise DataError(f"Cannot read {paths[0]}: {describe(error)}.", "Is it Parquet?") from None
