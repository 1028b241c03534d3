"""Where a row stands in the files of a data set, by the values of its key: for messages about invalid rows."""

from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path

from features.ingestion.files.csv_file import find_lines, inspect_csv
from features.tables.mapping import Dataset, file_kind

MAX_LOCATIONS = 2  # a repeated key stands twice
MAX_BYTES = 200_000_000  # reading more would keep a person waiting for a message


def locate_row(dataset: Dataset, sources: Sequence[str], key: Sequence[str]) -> tuple[str, ...]:
    """The files and lines of the rows that hold every value of a key; empty if they are not found, or are many."""
    files = [(source, file) for source in sources for file in dataset.files[source] if file.exists()]
    if not key or sum(file.stat().st_size for _, file in files) > MAX_BYTES:
        return ()
    locations = list(islice(_iter_locations(dataset, files, key), MAX_LOCATIONS + 1))
    return tuple(locations) if len(locations) <= MAX_LOCATIONS else ()


def _iter_locations(dataset: Dataset, files: Sequence[tuple[str, Path]], key: Sequence[str]) -> Iterator[str]:
    for source, file in files:
        if file_kind(file) == "csv":
            lines = find_lines(inspect_csv(file, dataset.mapping.sources[source]), frozenset(key))
            yield from (f"{file.name}, line {line}" for line in lines)
        elif file_kind(file) == "parquet" and len(files) > 1 and _has_row(file, key):
            yield file.name


def _has_row(file: Path, key: Sequence[str]) -> bool:
    """Whether a row of a Parquet file holds every value of a key."""
    import pyarrow.parquet as pq

    values = frozenset(key)
    batches = pq.ParquetFile(file).iter_batches()
    return any(values.issubset(map(str, row.values())) for batch in batches for row in batch.to_pylist())
