"""The quality gate: each fault is named, and a day like those before it passes."""

from dataclasses import replace
from datetime import datetime, timedelta

import pyarrow as pa
import pytest

from configs.errors import DataError
from configs.sections.publishing import QualitySettings
from features.compute.availability import MissingInput
from features.publishing.quality_gate import (
    check_day,
    check_lost_signals,
    check_row_counts,
    check_schema,
    check_sources,
    raise_for_day_faults,
)
from features.signals.registry import catalogue
from features.store.history import DaySummary
from tests.support.companies.raw_tables import account, raw_tables

SETTINGS = QualitySettings()
SIGNALS = tuple(signal for signal in catalogue() if signal.name in {"employees", "country"})
DAY = DaySummary("2023-06-01", 1_000, {"customer_profile": 0.9}, {"employees": 0.1, "country": 0.0})
STEADY = dict.fromkeys(range(28 * (SETTINGS.compared_windows + 1)), 20)


def _rows(**columns: pa.Array) -> pa.Table:
    employees = pa.array([1.0, None], pa.float64())
    arrays = {"account_id": pa.array(["a", "b"]), "employees": employees, "country": pa.array(["NL", None]), **columns}
    return pa.table({name: arrays[name] for name in ["account_id", *(signal.name for signal in SIGNALS)]})


def test_rows_with_the_declared_schema_pass():
    assert check_schema(_rows(), SIGNALS) == ()


def test_a_missing_column_is_named():
    (fault,) = check_schema(_rows().drop_columns("country"), SIGNALS)
    assert "not the declared signals: country" in fault


def test_a_column_of_another_type_is_named():
    assert check_schema(_rows(employees=pa.array(["1", "2"])), SIGNALS) == ("employees is string, not double",)


def test_a_repeated_account_is_named():
    (fault,) = check_schema(_rows(account_id=pa.array(["a", "a"])), SIGNALS)
    assert fault == "1 rows have an empty or repeated account_id"


@pytest.mark.parametrize("value", [float("inf"), float("nan")])
def test_a_value_that_is_no_finite_number_is_named(value: float):
    (fault,) = check_schema(_rows(employees=pa.array([value, None])), SIGNALS)
    assert fault == "employees is infinite or not a number for 1 accounts"


def test_a_column_that_published_signals_need_is_missed():
    missing = (MissingInput(("usage",), ("seats", "logins")), MissingInput(("accounts.country",), ("country",)))
    assert check_lost_signals(missing, ["employees", "country", "logins", "seats"]) == (
        "usage: usage is missing, which 2 published signals need, such as logins",
        "accounts: accounts.country is missing, which country needs",
    )
    assert check_lost_signals(missing, ["employees"]) == ()


def test_a_day_like_those_before_it_passes():
    past = [replace(DAY, snapshots=count) for count in (960, 980, 1_010)]
    assert check_day(DAY, past, SETTINGS) == ()


def test_the_first_day_of_a_history_passes():
    assert check_day(DAY, [], SETTINGS) == ()


@pytest.mark.parametrize("snapshots", [600, 1_600])
def test_an_unusual_number_of_accounts_is_named(snapshots: int):
    (fault,) = check_day(replace(DAY, snapshots=snapshots), [DAY], SETTINGS)
    assert fault.startswith(f"{snapshots:,} accounts; the last 1 days had 1,000 to 1,000")


def test_a_signal_that_went_missing_is_named_with_both_shares():
    sparse = replace(DAY, missing={"employees": 0.9, "country": 0.1})
    assert check_day(sparse, [DAY, DAY], SETTINGS) == (
        "employees is missing for 90% of the accounts; before it was at most 10%",
    )


def test_a_signal_as_missing_as_on_an_earlier_day_passes():
    sparse = replace(DAY, missing={"employees": 0.9, "country": 0.0})
    assert check_day(sparse, [DAY, sparse], SETTINGS) == ()


def test_a_steady_source_passes():
    assert check_row_counts("usage", STEADY, SETTINGS) == ()


def test_a_source_that_stopped_is_named():
    stopped = {age: rows for age, rows in STEADY.items() if age >= 6}
    (fault,) = check_row_counts("usage", stopped, SETTINGS)
    assert fault == "usage: 20 rows in the last 7 days; the 6 windows of 7 days before had at least 140"


def test_a_source_that_doubled_is_named():
    doubled = {age: rows * (2 if age < 7 else 1) for age, rows in STEADY.items()}
    (fault,) = check_row_counts("usage", doubled, SETTINGS)
    assert fault == "usage: 280 rows in the last 7 days; the 6 windows of 7 days before had at most 140"


def test_a_source_that_stopped_weeks_ago_is_named():
    stopped = {age: rows for age, rows in STEADY.items() if age >= 27}
    (fault,) = check_row_counts("usage", stopped, SETTINGS)
    assert fault == "usage: 0 rows in the last 27 days; the 7 windows of 7 days before had at least 140"


@pytest.mark.parametrize("days", [39, 365, 3_650])
def test_a_source_that_stopped_long_ago_is_named(days: int):
    stopped = {age + days: rows for age, rows in STEADY.items()}
    (fault,) = check_row_counts("usage", stopped, SETTINGS)
    assert fault == f"usage: 0 rows in the last {days} days; the 7 windows of 7 days before had at least 140"


def test_a_stopped_source_is_named_with_its_last_day_and_a_quiet_table_is_not():
    days = [datetime(2022, 1, 1) + timedelta(days=day) for day in range(100)]
    events = [{"account_id": "a", "event": "login", "occurred_at": day} for day in days for _ in range(10)]
    accounts = [account(f"{number}", day) for day in days for number in range(10)]
    faults = check_sources(raw_tables(usage=events, accounts=accounts), datetime(2023, 4, 10), SETTINGS)
    assert [fault.split(": ")[0] for fault in faults] == ["usage"]
    assert faults[0].endswith("at least 70 (the last row is of 2022-04-10)")


def test_a_monthly_source_passes():
    monthly = {age: 400 for age in STEADY if age % 30 == 20}
    assert check_row_counts("invoices", monthly, SETTINGS) == ()


@pytest.mark.parametrize("since", [0, 15, 29, 40])
def test_a_monthly_batch_passes_whenever_it_came_last(since: int):
    batches = {since + age: 100 for age in (0, 31, 61, 92, 122, 153)}
    assert check_row_counts("plays", batches, SETTINGS) == ()


def test_a_monthly_batch_that_did_not_come_is_named():
    batches = {50 + age: 100 for age in (0, 31, 61, 92, 122)}
    assert check_row_counts("plays", batches, SETTINGS) == (
        "plays: no rows for 50 days; the longest gap before was 31 days",
    )


def test_a_source_with_few_rows_passes():
    rows = {age: 1 for age in STEADY if age > 30}
    assert check_row_counts("surveys", rows, SETTINGS) == ()


@pytest.mark.parametrize("days", [0, 5, 14])
def test_a_source_younger_than_the_windows_passes(days: int):
    imported = {days: 5_000}
    assert check_row_counts("usage", dict.fromkeys(range(days), 10) | imported, SETTINGS) == ()


def test_an_error_names_the_day_and_the_first_faults():
    with pytest.raises(DataError, match=r"2023-06-01 is not published: a; b; c; d; e, and 2 more\.") as raised:
        raise_for_day_faults("2023-06-01", tuple("abcdefg"))
    assert "--force" in raised.value.hint


def test_no_fault_raises_no_error():
    assert raise_for_day_faults("2023-06-01", ()) is None
