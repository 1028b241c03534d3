"""The history: which days it has, which accounts a day has, and that a day is written as a whole."""

from datetime import datetime, timedelta
from pathlib import Path

import ibis
import pyarrow as pa
import pytest

from features.compute.compute import select_snapshots
from features.signals.registry import catalogue
from features.store.history import (
    DaySummary,
    HistoryVersion,
    accounts_on,
    complete_days,
    content_version,
    read_day,
    summarize_day,
    training_days,
    write_day,
)
from features.tables.contract import CONTRACT
from features.tables.raw_table import IBIS_TYPES, RawTable

AS_OF = datetime(2023, 6, 1)
SIGNALS = tuple(signal for signal in catalogue() if signal.name in {"employees", "country"})


def _subscriptions(*rows: dict) -> dict[str, RawTable]:
    contract = CONTRACT["subscriptions"]
    schema = ibis.schema({name: IBIS_TYPES[column.type] for name, column in contract.columns.items()})
    filled = pa.Table.from_pylist([dict.fromkeys(contract.columns) | row for row in rows], schema.to_pyarrow())
    return {"subscriptions": RawTable(contract, ibis.memtable(filled), frozenset(contract.columns))}


def _at_risk(*rows: dict) -> list[str]:
    return sorted(select_snapshots(_subscriptions(*rows), AS_OF).to_pyarrow()["account_id"].to_pylist())


def _row(started_at: datetime, ended_at: datetime | None = None, **columns: object) -> dict:
    return {"account_id": "a", "started_at": started_at, "ended_at": ended_at, **columns}


SECOND = timedelta(seconds=1)


@pytest.mark.parametrize(
    ("case", "row", "is_at_risk"),
    [
        ("runs without an end", _row(AS_OF - SECOND), True),
        ("ends later", _row(AS_OF - SECOND, AS_OF + SECOND), True),
        ("ends at the very instant", _row(AS_OF - SECOND, AS_OF), False),
        ("ended before", _row(AS_OF - 2 * SECOND, AS_OF - SECOND), False),
        ("starts at the very instant", _row(AS_OF), False),
        ("starts later", _row(AS_OF + SECOND), False),
        ("was recorded at the very instant", _row(AS_OF - SECOND, recorded_at=AS_OF), False),
        ("was recorded before", _row(AS_OF - 2 * SECOND, recorded_at=AS_OF - SECOND), True),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_an_account_is_at_risk_if_its_subscription(case: str, row: dict, is_at_risk: bool):
    assert (_at_risk(row) == ["a"]) is is_at_risk, case


def test_several_running_subscriptions_are_one_snapshot():
    assert _at_risk(_row(AS_OF - SECOND), _row(AS_OF - 2 * SECOND), _row(AS_OF - SECOND, AS_OF)) == ["a"]


def test_monthly_training_days_are_the_first_of_each_month():
    days = training_days(datetime(2023, 1, 1), datetime(2023, 3, 1), "monthly")
    assert days == [datetime(2023, 1, 1), datetime(2023, 2, 1), datetime(2023, 3, 1)]


def test_weekly_training_days_are_mondays():
    days = training_days(datetime(2023, 6, 1), datetime(2023, 6, 19), "weekly")
    assert days == [datetime(2023, 6, 5), datetime(2023, 6, 12), datetime(2023, 6, 19)]


def test_quarterly_training_days_are_the_first_of_each_calendar_quarter():
    days = training_days(datetime(2023, 2, 1), datetime(2024, 1, 1), "quarterly")
    assert days == [datetime(2023, 4, 1), datetime(2023, 7, 1), datetime(2023, 10, 1), datetime(2024, 1, 1)]


def test_days_so_many_days_apart_do_not_depend_on_where_the_history_begins():
    days = training_days(datetime(2023, 6, 1), datetime(2023, 7, 10), 14)
    assert days == [datetime(2023, 6, 5), datetime(2023, 6, 19), datetime(2023, 7, 3)]
    assert training_days(datetime(2023, 6, 15), datetime(2023, 7, 10), 14) == days[1:]


def test_a_short_period_may_have_no_training_day():
    assert training_days(datetime(2023, 6, 2), datetime(2023, 6, 4), "weekly") == []


@pytest.fixture
def history(tmp_path: Path) -> HistoryVersion:
    """An empty history of two signals."""
    return HistoryVersion(tmp_path / "edition", SIGNALS)


def _rows(**employees: float | None) -> pa.Table:
    countries = pa.array(["NL"] * len(employees), pa.string())
    columns = {"account_id": list(employees), "employees": pa.array(employees.values(), pa.float64())}
    table = pa.table({**columns, "country": countries})
    return table.select(["account_id", *(signal.name for signal in SIGNALS)])


def _write(history: HistoryVersion, rows: pa.Table) -> DaySummary:
    day = summarize_day(history, AS_OF, rows)
    write_day(history, day, rows)
    return day


def test_a_day_is_read_as_it_was_written(history: HistoryVersion):
    day = _write(history, _rows(b=3.0, a=None))
    assert read_day(history, AS_OF) == day
    assert (day.snapshots, day.missing["employees"], day.missing["country"]) == (2, 0.5, 0.0)
    assert accounts_on(history, AS_OF) == ["a", "b"]
    assert complete_days(history) == [AS_OF]


def test_a_rewritten_day_replaces_the_old_one(history: HistoryVersion):
    _write(history, _rows(a=1.0))
    before = content_version(history, AS_OF)
    _write(history, _rows(a=2.0))
    assert content_version(history, AS_OF) != before
    assert [file.name for file in (history.folder / "written").iterdir()] == [content_version(history, AS_OF)]


def test_a_rewritten_day_lists_dropped_accounts(history: HistoryVersion):
    _write(history, _rows(a=1.0, b=1.0, c=1.0))
    _write(history, _rows(a=1.0, b=1.0))
    assert _write(history, _rows(b=1.0)).dropped == ("a", "c")
    assert _write(history, _rows(b=1.0, c=1.0)).dropped == ("a",)


def test_a_day_that_is_not_linked_is_incomplete(history: HistoryVersion):
    _write(history, _rows(a=1.0))
    (history.folder / "days" / "2023-06-01").unlink()
    assert complete_days(history) == []
