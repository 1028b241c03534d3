"""A message names the Parquet file that holds the invalid row, however its ids are stored."""

from datetime import datetime
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from features.ingestion.row_location import locate_row
from features.tables.dataset import Dataset
from features.tables.mapping import DatasetMapping, SourceMapping

OPENED = datetime(2024, 5, 1)


@pytest.fixture
def tickets(tmp_path: Path) -> Dataset:
    """A source of two Parquet files: one with ids as numbers, and one with texts of which few differ."""
    columns = {
        "1.parquet": {"account_id": pa.array([7, None, 9]), "share": [0.5, 7.0, None], "opened_at": [OPENED] * 3},
        "2.parquet": {"account_id": pa.array(["7", "b", None]).dictionary_encode(), "kind": ["how_to", "defect", "9"]},
    }
    for name, table in columns.items():
        pq.write_table(pa.table(table), tmp_path / name)
    mapping = DatasetMapping(name="acme", sources={"tickets": SourceMapping(files="*.parquet")})
    files = {"tickets": tuple(tmp_path / name for name in columns)}
    return Dataset(mapping_file=tmp_path / "acme.toml", mapping=mapping, files=files)


@pytest.mark.parametrize(
    ("key", "files"),
    [
        (("7",), ("1.parquet", "2.parquet")),
        (("7", "how_to"), ("2.parquet",)),
        (("7", "defect"), ()),
        (("9",), ("1.parquet", "2.parquet")),
        (("007",), ()),
        (("b",), ("2.parquet",)),
        ((), ()),
    ],
)
def test_a_row_is_found_by_the_values_of_its_key(tickets: Dataset, key: tuple[str, ...], files: tuple[str, ...]):
    assert locate_row(tickets, ["tickets"], key) == files
