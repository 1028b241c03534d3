"""The history: which days are looked at, which accounts are in a day, and days that are whole or not there."""

from datetime import datetime, timedelta
from pathlib import Path

import ibis
import pyarrow as pa
import pytest

from features.compute.compute import snapshots
from features.signals.registry import catalogue
from features.store.history import (
    Day,
    Edition,
    accounts_on,
    complete_days,
    describe_day,
    read_day,
    training_days,
    version_of,
    write_day,
)
from features.tables.contract import CONTRACT
from features.tables.raw_table import IBIS_TYPES, RawTable

AS_OF = datetime(2023, 6, 1)
EMPLOYEES = tuple(one for one in catalogue() if one.name in {"employees", "country"})


def _subscriptions(*rows: dict) -> dict[str, RawTable]:
    contract = CONTRACT["subscriptions"]
    schema = ibis.schema({name: IBIS_TYPES[column.type] for name, column in contract.columns.items()})
    filled = pa.Table.from_pylist([dict.fromkeys(contract.columns) | row for row in rows], schema.to_pyarrow())
    return {"subscriptions": RawTable(contract, ibis.memtable(filled), frozenset(contract.columns))}


def _at_risk(*rows: dict) -> list[str]:
    return sorted(snapshots(_subscriptions(*rows), AS_OF).to_pyarrow()["account_id"].to_pylist())


def _row(started_at: datetime, ended_at: datetime | None = None, **more: object) -> dict:
    return {"account_id": "a", "started_at": started_at, "ended_at": ended_at, **more}


SECOND = timedelta(seconds=1)


@pytest.mark.parametrize(
    ("case", "row", "can_leave"),
    [
        ("runs without an end", _row(AS_OF - SECOND), True),
        ("ends later", _row(AS_OF - SECOND, AS_OF + SECOND), True),
        ("ends at the very instant, which is not known yet", _row(AS_OF - SECOND, AS_OF), True),
        ("ended before", _row(AS_OF - 2 * SECOND, AS_OF - SECOND), False),
        ("starts at the very instant", _row(AS_OF), False),
        ("starts later", _row(AS_OF + SECOND), False),
        ("was recorded at the very instant", _row(AS_OF - SECOND, recorded_at=AS_OF), False),
        ("was recorded before", _row(AS_OF - 2 * SECOND, recorded_at=AS_OF - SECOND), True),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_an_account_can_leave_where_its_subscription(case: str, row: dict, can_leave: bool):
    assert (_at_risk(row) == ["a"]) is can_leave, case


def test_an_account_with_several_running_subscriptions_is_one_snapshot():
    assert _at_risk(_row(AS_OF - SECOND), _row(AS_OF - 2 * SECOND), _row(AS_OF - SECOND, AS_OF)) == ["a"]


def test_training_looks_at_the_first_of_every_month():
    days = training_days(datetime(2023, 1, 1), datetime(2023, 3, 1), "monthly")
    assert days == [datetime(2023, 1, 1), datetime(2023, 2, 1), datetime(2023, 3, 1)]


def test_training_looks_at_every_monday():
    days = training_days(datetime(2023, 6, 1), datetime(2023, 6, 19), "weekly")
    assert days == [datetime(2023, 6, 5), datetime(2023, 6, 12), datetime(2023, 6, 19)]


def test_training_looks_at_no_day_where_none_fits():
    assert training_days(datetime(2023, 6, 2), datetime(2023, 6, 4), "weekly") == []


@pytest.fixture
def place(tmp_path: Path) -> Edition:
    """An empty history of two signals."""
    return Edition(tmp_path / "edition", EMPLOYEES)


def _rows(**employees: float | None) -> pa.Table:
    countries = pa.array(["NL"] * len(employees), pa.string())
    columns = {"account_id": list(employees), "employees": pa.array(employees.values(), pa.float64())}
    table = pa.table({**columns, "country": countries})
    return table.select(["account_id", *(one.name for one in EMPLOYEES)])


def _write(place: Edition, rows: pa.Table) -> Day:
    day = describe_day(place, AS_OF, rows)
    write_day(place, day, rows)
    return day


def test_a_day_is_read_as_it_was_written(place: Edition):
    day = _write(place, _rows(b=3.0, a=None))
    assert read_day(place, AS_OF) == day
    assert (day.snapshots, day.missing["employees"], day.missing["country"]) == (2, 0.5, 0.0)
    assert accounts_on(place, AS_OF) == ["a", "b"]
    assert complete_days(place) == [AS_OF]


def test_a_day_written_again_replaces_the_old_one_and_leaves_nothing_of_it(place: Edition):
    _write(place, _rows(a=1.0))
    before = version_of(place, AS_OF)
    _write(place, _rows(a=2.0))
    assert version_of(place, AS_OF) != before
    assert [file.name for file in (place.folder / "written").iterdir()] == [version_of(place, AS_OF)]


def test_a_day_remembers_the_accounts_that_its_earlier_writings_held(place: Edition):
    _write(place, _rows(a=1.0, b=1.0, c=1.0))
    _write(place, _rows(a=1.0, b=1.0))
    assert _write(place, _rows(b=1.0)).dropped == ("a", "c")
    assert _write(place, _rows(b=1.0, c=1.0)).dropped == ("a",)


def test_what_is_not_linked_yet_is_no_day(place: Edition):
    _write(place, _rows(a=1.0))
    (place.folder / "days" / "2023-06-01").unlink()
    assert complete_days(place) == []
