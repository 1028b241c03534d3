"""Where a row stands in the files of a data set, by the values of its key: for messages about invalid rows."""

import contextlib
from collections.abc import Iterator, Sequence
from functools import reduce
from itertools import islice
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from features.ingestion.files.csv_file import find_lines, inspect_csv
from features.tables.dataset import Dataset
from features.tables.mapping import file_kind

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
    """Whether a row of a Parquet file holds every value of a key, in columns of text or whole numbers."""
    parquet = pq.ParquetFile(file)
    names = [field.name for field in parquet.schema_arrow if _may_hold_a_key(field.type)]
    batches = parquet.iter_batches(columns=names) if names else ()
    return any(_has_key(pa.table(batch), key) for batch in batches)


def _may_hold_a_key(data_type: pa.DataType) -> bool:
    stored = data_type.value_type if pa.types.is_dictionary(data_type) else data_type
    return pa.types.is_integer(stored) or pa.types.is_string(stored) or pa.types.is_large_string(stored)


def _has_key(rows: pa.Table, key: Sequence[str]) -> bool:
    """Filters rows by one value after the other; in Arrow, since a walk over two million rows takes half a minute."""
    for value in key:
        rows = rows.filter(_holds(rows, value))
    return rows.num_rows > 0


def _holds(rows: pa.Table, value: str) -> pa.ChunkedArray | pa.Array:
    """Which rows have a column of this value."""
    masks = [pa.array([False] * rows.num_rows, pa.bool_())]
    for column in rows.columns:
        with contextlib.suppress(pa.ArrowInvalid):  # the text is no number of this column
            scalar = pa.scalar(value).cast(column.type) if pa.types.is_integer(column.type) else pa.scalar(value)
            if str(scalar.as_py()) == value:  # 007 is not the number 7
                masks.append(pc.call_function("equal", [column, scalar]))
    return reduce(lambda left, right: pc.call_function("or_kleene", [left, right]), masks)
