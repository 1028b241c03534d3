"""Opens the backend that the settings name."""

from configs.errors import DataError
from configs.settings import EngineSettings
from features.compute.backends.base import Backend, first_line
from features.compute.backends.duckdb import open_duckdb
from features.compute.backends.spark import open_spark
from features.tables.mapping import Dataset


def open_backend(settings: EngineSettings, dataset: Dataset) -> Backend:
    """The backend of the settings, with a view for every source of the data set.

    Raises ConfigError if the backend is not installed, DataError for a file that cannot be read.
    """
    backend = open_spark(settings) if settings.kind == "spark" else open_duckdb(settings)
    for source, files in dataset.files.items():
        try:
            backend.create_view(source, [str(file) for file in files])
        except backend.error_types as error:
            raise DataError(f"Cannot read {files[0]}: {first_line(error)}.", "Is it Parquet or CSV?") from None
    return backend
