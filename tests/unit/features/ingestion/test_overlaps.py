"""Overlaps: what two files of one source share is refused, unless the mapping says what equal rows are."""

from datetime import datetime

import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq
import pytest

from configs.errors import DataError
from configs.settings_file import read_settings
from configs.state_dir import open_state_dir
from features.ingestion.overlaps import raise_for_overlaps
from features.publishing.open_dataset import open_dataset
from features.tables.dataset import read_dataset
from tests.support.companies.raw_tables import Rows, account, subscription

DAY = datetime(2023, 2, 1)


def _event(day: int, account_id: str = "a", event: str = "open") -> dict:
    return {"account_id": account_id, "event": event, "occurred_at": datetime(2023, 3, day)}


@pytest.fixture
def write_usage(make_company, tmp_path):
    """A function that writes usage as one file per list of rows; gives the path of the settings file."""

    def write(*files: Rows, suffix: str = "parquet", mapping: str = "", folder: str = "usage") -> object:
        config = make_company(accounts=[account("a")], subscriptions=[subscription("a", DAY)])
        toml = tmp_path / "acme-data.toml"
        toml.write_text(mapping + toml.read_text() + f'{folder} = "{folder}-*.{suffix}"\n')
        for number, rows in enumerate(files):
            table, file = pa.Table.from_pylist(rows), tmp_path / f"data/{folder}-{number}.{suffix}"
            pq.write_table(table, file) if suffix == "parquet" else pyarrow.csv.write_csv(table, file)
        return config

    return write


def _check(config) -> str | None:
    try:
        raise_for_overlaps(read_dataset(read_settings(config).data))
    except DataError as error:
        return str(error)
    return None


@pytest.mark.parametrize("suffix", ["parquet", "csv"])
def test_rows_of_two_files_are_refused(write_usage, suffix):
    first = [_event(1), _event(2), _event(3)]
    second = [{name: row[name] for name in reversed(row)} for row in (_event(3), _event(4))]
    assert f"usage-1.{suffix} repeats 1 row of usage-0.{suffix}: the source 'usage' would count them twice." in (
        _check(write_usage(first, second, suffix=suffix)) or ""
    )


def test_pairs_of_files_are_counted(write_usage):
    error = _check(write_usage([_event(1), _event(2)], [_event(1), _event(2), _event(9)], [_event(9), _event(1)]))
    assert error is not None
    assert "usage-1.parquet repeats 2 rows of usage-0.parquet" in error
    assert "And 1 more pairs of files overlap." in error


def test_equal_rows_of_one_file_are_no_overlap(write_usage):
    assert _check(write_usage([_event(1), _event(1)], [_event(2)])) is None


def test_rows_that_differ_in_any_column_are_no_overlap(write_usage):
    assert _check(write_usage([_event(1)], [_event(1, event="close"), _event(1, "b")])) is None


def test_a_table_with_a_key_may_come_in_overlapping_files(write_usage):
    tickets = [{"account_id": "a", "ticket_id": "1", "opened_at": DAY}]
    assert _check(write_usage(tickets, [*tickets, tickets[0] | {"ticket_id": "2"}], folder="tickets")) is None


@pytest.mark.parametrize(("equal_rows", "rows"), [("once", 2), ("each", 5)])
def test_the_mapping_says_what_equal_rows_are(write_usage, equal_rows, rows):
    files = [_event(1), _event(1), _event(2)], [_event(1), _event(2)]
    settings = read_settings(write_usage(*files, mapping=f'equal_rows = "{equal_rows}"\n'))
    opened = open_dataset(settings, open_state_dir(settings))
    assert opened.tables["usage"].rows.count().to_pyarrow().as_py() == rows
    assert opened.count_equal_rows() == {"usage": 3}


def test_an_overlap_is_refused_when_rows_are_set_aside_too(write_usage):
    config = write_usage([_event(1), _event(2)], [_event(1)])
    config.write_text(config.read_text() + 'on_invalid_rows = "quarantine"\n')
    settings = read_settings(config)
    with pytest.raises(DataError, match="repeats 1 row of usage-0"):
        open_dataset(settings, open_state_dir(settings))
