"""The quality gate: each fault is named, and a day like those before it passes."""

from dataclasses import replace

import pyarrow as pa
import pytest

from configs.errors import DataError
from configs.settings import QualitySettings
from features.publishing.quality_gate import judge_day, judge_flow, judge_schema, refuse_day
from features.signals.registry import catalogue
from features.store.history import Day

SETTINGS = QualitySettings()
SIGNALS = tuple(one for one in catalogue() if one.name in {"employees", "country"})
DAY = Day("2023-06-01", 1_000, {"fit": 0.9}, {"employees": 0.1, "country": 0.0})
STEADY = dict.fromkeys(range(28 * (SETTINGS.compared_windows + 1)), 20)


def _rows(**columns: pa.Array) -> pa.Table:
    employees = pa.array([1.0, None], pa.float64())
    given = {"account_id": pa.array(["a", "b"]), "employees": employees, "country": pa.array(["NL", None]), **columns}
    return pa.table({name: given[name] for name in ["account_id", *(one.name for one in SIGNALS)]})


def test_rows_of_the_declared_form_pass():
    assert judge_schema(_rows(), SIGNALS) == ()


def test_a_missing_column_is_named():
    (fault,) = judge_schema(_rows().drop_columns("country"), SIGNALS)
    assert "not the declared signals: country" in fault


def test_a_column_of_another_type_is_named():
    assert judge_schema(_rows(employees=pa.array(["1", "2"])), SIGNALS) == ("employees is string, not double",)


def test_a_repeated_account_is_named():
    (fault,) = judge_schema(_rows(account_id=pa.array(["a", "a"])), SIGNALS)
    assert fault == "1 rows have an account_id that is empty or there already"


@pytest.mark.parametrize("value", [float("inf"), float("nan")])
def test_a_value_that_is_no_finite_number_is_named(value: float):
    (fault,) = judge_schema(_rows(employees=pa.array([value, None])), SIGNALS)
    assert fault == "employees is infinite or no number for 1 accounts"


def test_a_day_like_those_before_it_passes():
    past = [replace(DAY, snapshots=count) for count in (960, 980, 1_010)]
    assert judge_day(DAY, past, SETTINGS) == ()


def test_the_first_day_of_a_history_passes():
    assert judge_day(DAY, [], SETTINGS) == ()


@pytest.mark.parametrize("snapshots", [600, 1_600])
def test_a_third_fewer_or_half_as_many_more_accounts_are_named(snapshots: int):
    (fault,) = judge_day(replace(DAY, snapshots=snapshots), [DAY], SETTINGS)
    assert fault.startswith(f"{snapshots:,} accounts, where the last 1 days had 1,000 to 1,000")


def test_a_signal_that_went_missing_is_named_with_both_shares():
    gone = replace(DAY, missing={"employees": 0.9, "country": 0.1})
    assert judge_day(gone, [DAY, DAY], SETTINGS) == (
        "employees is missing for 90% of the accounts, before for at most 10%",
    )


def test_a_signal_that_was_as_missing_on_any_day_before_passes():
    gone = replace(DAY, missing={"employees": 0.9, "country": 0.0})
    assert judge_day(gone, [DAY, gone], SETTINGS) == ()


def test_a_steady_source_passes():
    assert judge_flow("usage", STEADY, SETTINGS) == ()


def test_a_source_that_stopped_is_named():
    stopped = {age: rows for age, rows in STEADY.items() if age >= 6}
    (fault,) = judge_flow("usage", stopped, SETTINGS)
    assert fault == "usage: 20 rows in the last 7 days, in the 6 times 7 days before at least 140"


def test_a_source_that_doubled_is_named():
    doubled = {age: rows * (2 if age < 7 else 1) for age, rows in STEADY.items()}
    (fault,) = judge_flow("usage", doubled, SETTINGS)
    assert fault == "usage: 280 rows in the last 7 days, in the 6 times 7 days before at most 140"


def test_a_source_that_stopped_weeks_ago_is_named_by_its_longer_window():
    stopped = {age: rows for age, rows in STEADY.items() if age >= 27}
    (fault,) = judge_flow("usage", stopped, SETTINGS)
    assert fault == "usage: 20 rows in the last 28 days, in the 6 times 28 days before at least 560"


def test_a_monthly_source_passes_between_its_months():
    monthly = {age: 400 for age in STEADY if age % 30 == 20}
    assert judge_flow("invoices", monthly, SETTINGS) == ()


@pytest.mark.parametrize("since", [0, 15, 29, 40])
def test_a_monthly_batch_passes_whenever_it_came_last(since: int):
    batches = {since + age: 100 for age in (0, 31, 61, 92, 122, 153)}
    assert judge_flow("plays", batches, SETTINGS) == ()


def test_a_monthly_batch_that_did_not_come_is_named():
    batches = {50 + age: 100 for age in (0, 31, 61, 92, 122)}
    assert judge_flow("plays", batches, SETTINGS) == ("plays: no row for 50 days, before never for more than 31",)


def test_a_source_of_few_rows_passes_whatever_it_does():
    few = {age: 1 for age in STEADY if age > 30}
    assert judge_flow("surveys", few, SETTINGS) == ()


@pytest.mark.parametrize("days", [0, 5, 14])
def test_a_source_younger_than_the_windows_passes(days: int):
    imported = {days: 5_000}
    assert judge_flow("usage", dict.fromkeys(range(days), 10) | imported, SETTINGS) == ()


def test_a_refusal_names_the_day_the_first_faults_and_how_many_more():
    with pytest.raises(DataError, match=r"2023-06-01 is not published: a; b; c; d; e, and 2 more\.") as refusal:
        refuse_day("2023-06-01", tuple("abcdefg"))
    assert "--force" in refusal.value.hint


def test_no_fault_is_no_refusal():
    assert refuse_day("2023-06-01", ()) is None
