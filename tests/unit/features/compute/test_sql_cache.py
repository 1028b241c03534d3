"""Queries: translated once, read from then on, and made anew where anything they are made of has changed."""

import hashlib
from collections.abc import Callable
from datetime import datetime
from pathlib import Path

import ibis
import ibis.expr.types as ir
import pyarrow as pa
import pytest

from configs.settings import EngineSettings
from features.compute.backends.connect import open_engine
from features.compute.backends.sql_cache import MOST, Queries
from features.compute.compute import Asked, prepare
from features.ingestion.reader import clean, read_tables
from features.signals.registry import catalogue
from features.tables.mapping import read_dataset
from tests.support.growing_company import Company, found

DAYS = [datetime(2023, 6, 1), datetime(2023, 7, 1), datetime(2023, 8, 1)]
USAGE_TWICE = 'usage = "select * replace (2 * coalesce(quantity, 1) as quantity) from usage"'
ROWS = ibis.table({"account_id": "string"}, "usage")
TWO = ("events_91d", "event_types_28d")


def _never(_: ir.Table) -> str:
    raise AssertionError("it was translated again")


def _translation(folder: Path) -> Callable[[datetime], pa.Table]:
    """Two signals of a company on any of the days, from an engine just opened."""
    company = found(folder / "company")
    return _rows(company, folder / "queries")


def _rows(company: Company, queries: Path) -> Callable[[datetime], pa.Table]:
    dataset = read_dataset(company.settings.data)
    engine = open_engine(EngineSettings(threads=1), dataset, queries)
    two = tuple(one for one in catalogue() if one.name in TWO)
    return prepare(engine, clean(read_tables(engine, dataset)), Asked(two, DAYS))


def _values(rows: pa.Table) -> list[dict]:
    return rows.sort_by("account_id").to_pylist()


def test_a_query_is_translated_once(tmp_path: Path):
    assert Queries(tmp_path).text(ROWS, [], lambda _: "select 1") == "select 1"
    assert Queries(tmp_path).text(ROWS, [], _never) == "select 1"


@pytest.mark.parametrize(("rows", "literals"), [(ROWS.limit(2), ()), (ROWS, ["TIMESTAMP '1002-03-04'"])])
def test_a_query_for_other_rows_or_with_other_literals_is_another(tmp_path: Path, rows: ir.Table, literals: list[str]):
    Queries(tmp_path).text(ROWS, [], lambda _: "select 1")
    assert Queries(tmp_path).text(rows, literals, lambda _: "select 2") == "select 2"


def test_without_a_folder_it_is_translated_each_time():
    assert Queries(None).text(ROWS, [], lambda _: "select 1") == "select 1"
    assert Queries(None).text(ROWS, [], lambda _: "select 2") == "select 2"


@pytest.mark.parametrize("left", ["", "select"])
def test_a_query_that_was_damaged_is_translated_again(tmp_path: Path, left: str):
    Queries(tmp_path).text(ROWS, [], lambda _: "select 1")
    (file,) = tmp_path.glob("*.sql")
    file.write_text(left)
    assert Queries(tmp_path).text(ROWS, [], lambda _: "select 1") == "select 1"
    assert Queries(tmp_path).text(ROWS, [], _never) == "select 1"


def test_a_query_that_another_process_takes_away_meanwhile_is_no_loss(tmp_path: Path):
    (tmp_path / "gone.sql").symlink_to(tmp_path / "nowhere")
    assert Queries(tmp_path).text(ROWS, [], lambda _: "select 1") == "select 1"


def test_only_the_queries_used_last_are_kept(tmp_path: Path):
    for number in range(MOST + 5):
        Queries(tmp_path).text(ROWS.limit(number), [], lambda _: "select 1")
    assert len(list(tmp_path.glob("*.sql"))) == MOST


def test_days_of_kept_queries_are_the_days_of_new_ones(tmp_path: Path):
    new = _translation(tmp_path)
    before = [_values(new(day)) for day in DAYS]
    texts = set((tmp_path / "queries").iterdir())
    kept = _rows(found(tmp_path / "again"), tmp_path / "queries")
    assert [_values(kept(day)) for day in DAYS] == before
    assert set((tmp_path / "queries").iterdir()) == texts


def test_a_kept_query_is_the_one_that_runs(tmp_path: Path):
    rows_on = _translation(tmp_path)
    rows_on(DAYS[0])
    text = "select 'mine' as account_id"
    for file in (tmp_path / "queries").iterdir():
        if "LEFT OUTER JOIN" in file.read_text():
            file.write_text(f"{hashlib.sha256(text.encode()).hexdigest()[:24]}\n{text}")
    rows_on = _rows(found(tmp_path / "again"), tmp_path / "queries")
    assert rows_on(DAYS[0]).to_pylist() == [{"account_id": "mine"}]


def test_another_select_of_a_table_is_another_query(tmp_path: Path):
    rows_on = _translation(tmp_path)
    events = [row["events_91d"] for row in _values(rows_on(DAYS[2]))]
    other = found(tmp_path / "other")
    mapping = other.settings.data.dataset
    mapping.write_text(mapping.read_text() + f"\n[tables]\n{USAGE_TWICE}\n")
    twice = [row["events_91d"] for row in _values(_rows(other, tmp_path / "queries")(DAYS[2]))]
    assert any(events)
    assert twice == [2 * one for one in events]
