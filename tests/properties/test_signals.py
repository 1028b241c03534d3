"""Properties of every signal on any company: it uses nothing known later and no other account's rows."""

import math
from datetime import datetime, timedelta
from random import Random

import pytest

from features.compute.availability import available_signals
from features.compute.fingerprints import contract_tables
from features.own_signals.generated_tables import AS_OF, shift_company
from features.signals.registry import catalogue
from features.tables.contract import CONTRACT, ColumnContract, TableContract
from tests.support.companies.compiled_catalogue import Value, compile_catalogue, values_of_company, with_inputs
from tests.support.companies.random_companies import Company, Row, random_company
from tests.support.companies.value_differences import find_differences

any_company = pytest.mark.parametrize("seed", range(8))
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


@any_company
def test_rows_at_as_of_or_later_change_nothing(seed):
    company = random_company(seed)
    assert find_differences(compile_catalogue()(_filter_rows(company, _happened)), values_of_company(seed)) == []


@any_company
def test_rows_recorded_at_as_of_or_later_change_nothing(seed):
    company = random_company(seed)
    assert find_differences(compile_catalogue()(_filter_rows(company, _recorded)), values_of_company(seed)) == []


@any_company
def test_values_that_became_known_later_change_nothing(seed):
    company = random_company(seed)
    hidden = {name: [_hide_later_values(CONTRACT[name], row) for row in rows] for name, rows in company.items()}
    assert find_differences(compile_catalogue()(hidden), values_of_company(seed)) == []


@any_company
def test_an_account_computed_alone_equals_its_row_in_the_batch(seed):
    company, batch = random_company(seed), values_of_company(seed)
    account = Random(seed).choice([row["account_id"] for row in company["accounts"]])
    single = compile_catalogue()(_filter_rows(company, lambda _, row: row["account_id"] == account))
    assert find_differences(single, {name: values for name, values in batch.items() if name == account}) == []


@any_company
def test_the_order_of_rows_changes_nothing(seed):
    company = random_company(seed)
    shuffled = {name: Random(seed).sample(rows, len(rows)) for name, rows in company.items()}
    assert find_differences(compile_catalogue()(shuffled), values_of_company(seed)) == []


@any_company
def test_moving_all_instants_changes_nothing(seed):
    company = random_company(seed)
    later = compile_catalogue(as_of=AS_OF + timedelta(days=700))
    assert find_differences(later(shift_company(company, days=700)), values_of_company(seed)) == []


@any_company
def test_every_number_is_finite(seed):
    numbers = [
        value for values in values_of_company(seed).values() for value in values.values() if isinstance(value, float)
    ]
    assert all(map(math.isfinite, numbers))


@pytest.mark.parametrize("window", ["_7d", "_28d", "_91d", "_182d", "_364d"])
def test_a_value_does_not_depend_on_the_other_signals(window):
    signals = with_inputs({signal.name for signal in catalogue() if signal.name.endswith(window)})
    expected = {
        name: {signal.name: values[signal.name] for signal in signals} for name, values in values_of_company(7).items()
    }
    assert find_differences(compile_catalogue(signals)(random_company(7)), expected) == []


USAGE_SIGNALS = [signal for signal in catalogue() if signal.table and signal.table.source == "usage"]


@pytest.mark.parametrize("signal", USAGE_SIGNALS, ids=lambda signal: signal.name)
def test_a_usage_signal_alone_equals_its_value_among_all(signal):
    expected = {name: {signal.name: values[signal.name]} for name, values in values_of_company(7, accounts=40).items()}
    assert find_differences(compile_catalogue((signal,))(random_company(7, accounts=40)), expected) == []


def test_every_signal_is_available_if_all_tables_exist():
    assert available_signals(contract_tables(), catalogue(), "named") == catalogue()


def test_every_signal_has_at_least_two_values():
    values_by_signal: dict[str, set[Value]] = {signal.name: set() for signal in catalogue()}
    for seed in range(20):
        for values in values_of_company(seed).values():
            for name, value in values.items():
                values_by_signal[name].add(value)
    assert [name for name, values in values_by_signal.items() if len(values - {None}) < 2] == []
