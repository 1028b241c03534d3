"""Properties of every signal on any company: it uses nothing known later and no other account's rows."""

import math
from datetime import datetime, timedelta
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from features.compute.availability import available_signals
from features.compute.fingerprints import contract_tables
from features.own_signals.generated_tables import AS_OF, shift_company
from features.signals.registry import catalogue
from features.tables.contract import CONTRACT, ColumnContract, TableContract
from tests.support.companies.compiled_catalogue import Value, compile_catalogue, with_inputs
from tests.support.companies.random_companies import Company, Row, random_company
from tests.support.companies.value_differences import find_differences

companies = st.builds(random_company, st.integers(0, 2**32 - 1))
few = settings(max_examples=8, deadline=None, derandomize=True)
NEVER = datetime.max


def _filter_rows(company: Company, condition) -> Company:
    return {name: [row for row in rows if condition(CONTRACT[name], row)] for name, rows in company.items()}


def _happened(table: TableContract, row: Row) -> bool:
    return table.at is None or row[table.at] < AS_OF


def _recorded(_: TableContract, row: Row) -> bool:
    return row["recorded_at"] is None or row["recorded_at"] < AS_OF


def _hide_later_values(table: TableContract, row: Row) -> Row:
    return {name: None if _is_later(table.columns[name], table, row) else value for name, value in row.items()}


def _is_later(column: ColumnContract, table: TableContract, row: Row) -> bool:
    if column.known_at is None and not column.settles_days:
        return False
    known_at = row[column.known_at or str(table.at)] or NEVER
    # A period that ends at `as_of` has ended then.
    return known_at > AS_OF if column.closes else known_at >= AS_OF - timedelta(days=column.settles_days)


@few
@given(companies)
def test_rows_at_as_of_or_later_change_nothing(company):
    assert find_differences(compile_catalogue()(_filter_rows(company, _happened)), compile_catalogue()(company)) == []


@few
@given(companies)
def test_rows_recorded_at_as_of_or_later_change_nothing(company):
    assert find_differences(compile_catalogue()(_filter_rows(company, _recorded)), compile_catalogue()(company)) == []


@few
@given(companies)
def test_values_that_became_known_later_change_nothing(company):
    hidden = {name: [_hide_later_values(CONTRACT[name], row) for row in rows] for name, rows in company.items()}
    assert find_differences(compile_catalogue()(hidden), compile_catalogue()(company)) == []


@few
@given(companies, st.data())
def test_an_account_computed_alone_equals_its_row_in_the_batch(company, data):
    batch = compile_catalogue()(company)
    account = data.draw(st.sampled_from(sorted({row["account_id"] for row in company["accounts"]})))
    single = compile_catalogue()(_filter_rows(company, lambda _, row: row["account_id"] == account))
    assert find_differences(single, {name: values for name, values in batch.items() if name == account}) == []


@few
@given(companies, st.integers(0, 9))
def test_the_order_of_rows_changes_nothing(company, seed):
    shuffled = {name: Random(seed).sample(rows, len(rows)) for name, rows in company.items()}
    assert find_differences(compile_catalogue()(shuffled), compile_catalogue()(company)) == []


@few
@given(companies)
def test_moving_all_instants_changes_nothing(company):
    later = compile_catalogue(as_of=AS_OF + timedelta(days=700))
    assert find_differences(later(shift_company(company, days=700)), compile_catalogue()(company)) == []


@few
@given(companies)
def test_every_number_is_finite(company):
    numbers = [
        value
        for values in compile_catalogue()(company).values()
        for value in values.values()
        if isinstance(value, float)
    ]
    assert all(map(math.isfinite, numbers))


@pytest.mark.parametrize("window", ["_7d", "_28d", "_91d", "_182d", "_364d"])
def test_a_value_does_not_depend_on_the_other_signals(window):
    signals = with_inputs({signal.name for signal in catalogue() if signal.name.endswith(window)})
    expected = {
        name: {signal.name: values[signal.name] for signal in signals}
        for name, values in compile_catalogue()(random_company(7)).items()
    }
    assert find_differences(compile_catalogue(signals)(random_company(7)), expected) == []


USAGE_SIGNALS = [signal for signal in catalogue() if signal.table and signal.table.source == "usage"]


@pytest.mark.parametrize("signal", USAGE_SIGNALS, ids=lambda signal: signal.name)
def test_a_usage_signal_alone_equals_its_value_among_all(signal):
    expected = {
        name: {signal.name: values[signal.name]}
        for name, values in compile_catalogue()(random_company(7, accounts=40)).items()
    }
    assert find_differences(compile_catalogue((signal,))(random_company(7, accounts=40)), expected) == []


def test_every_signal_is_available_if_all_tables_exist():
    assert available_signals(contract_tables(), catalogue(), "named") == catalogue()


def test_every_signal_has_at_least_two_values():
    values_by_signal: dict[str, set[Value]] = {signal.name: set() for signal in catalogue()}
    for seed in range(20):
        for values in compile_catalogue()(random_company(seed)).values():
            for name, value in values.items():
                values_by_signal[name].add(value)
    assert [name for name, values in values_by_signal.items() if len(values - {None}) < 2] == []
