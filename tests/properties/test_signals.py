"""What holds for every signal of the catalogue, on any company: it is exact in time and knows one account at a time."""

import math
from datetime import datetime, timedelta
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from features.compute.compute import carried
from features.compute.fingerprints import contract_tables
from features.signals.registry import catalogue, source_of
from features.tables.contract import CONTRACT, Column, Table
from tests.support.compiled_catalogue import Value, engine, with_inputs
from tests.support.random_companies import AS_OF, Company, Row, company, shifted
from tests.support.value_differences import differences

companies = st.builds(company, st.integers(0, 2**32 - 1))
few = settings(max_examples=12, deadline=None, derandomize=True)
NEVER = datetime.max


def _kept(company: Company, keep) -> Company:
    return {name: [row for row in rows if keep(CONTRACT[name], row)] for name, rows in company.items()}


def _happened(table: Table, row: Row) -> bool:
    return table.at is None or row[table.at] < AS_OF


def _recorded(_: Table, row: Row) -> bool:
    return row["recorded_at"] is None or row["recorded_at"] < AS_OF


def _without_later_facts(table: Table, row: Row) -> Row:
    return {name: None if _is_later(table.columns[name], table, row) else value for name, value in row.items()}


def _is_later(column: Column, table: Table, row: Row) -> bool:
    if column.known_at is None and not column.settles_days:
        return False
    known_at = row[column.known_at or str(table.at)] or NEVER
    return known_at >= AS_OF - timedelta(days=column.settles_days)


@few
@given(companies)
def test_rows_of_that_instant_or_later_change_nothing(company):
    assert differences(engine()(_kept(company, _happened)), engine()(company)) == []


@few
@given(companies)
def test_rows_recorded_at_that_instant_or_later_change_nothing(company):
    assert differences(engine()(_kept(company, _recorded)), engine()(company)) == []


@few
@given(companies)
def test_values_that_became_known_later_change_nothing(company):
    emptied = {name: [_without_later_facts(CONTRACT[name], row) for row in rows] for name, rows in company.items()}
    assert differences(engine()(emptied), engine()(company)) == []


@few
@given(companies, st.data())
def test_an_account_computed_alone_equals_its_row_in_the_batch(company, data):
    batch = engine()(company)
    account = data.draw(st.sampled_from(sorted({row["account_id"] for row in company["accounts"]})))
    alone = engine()(_kept(company, lambda _, row: row["account_id"] == account))
    assert differences(alone, {name: values for name, values in batch.items() if name == account}) == []


@few
@given(companies, st.integers(0, 9))
def test_the_order_of_rows_changes_nothing(company, seed):
    shuffled = {name: Random(seed).sample(rows, len(rows)) for name, rows in company.items()}
    assert differences(engine()(shuffled), engine()(company)) == []


@few
@given(companies)
def test_only_the_distance_in_time_matters(company):
    later = engine(as_of=AS_OF + timedelta(days=700))
    assert differences(later(shifted(company, days=700)), engine()(company)) == []


@few
@given(companies)
def test_every_number_is_finite(company):
    numbers = [value for values in engine()(company).values() for value in values.values() if isinstance(value, float)]
    assert all(map(math.isfinite, numbers))


@pytest.mark.parametrize("window", ["_7d", "_28d", "_91d", "_182d", "_364d"])
def test_a_value_does_not_depend_on_which_signals_are_asked_for(window):
    asked = with_inputs({one.name for one in catalogue() if one.name.endswith(window)})
    whole = {name: {one.name: values[one.name] for one in asked} for name, values in engine()(company(7)).items()}
    assert differences(engine(asked)(company(7)), whole) == []


OF_USAGE = [one for one in catalogue() if source_of(one.inputs[0]) == "usage"]


@pytest.mark.parametrize("one", OF_USAGE, ids=lambda one: one.name)
def test_a_signal_of_usage_computed_alone_equals_itself_among_all(one):
    whole = {name: {one.name: values[one.name]} for name, values in engine()(company(7, accounts=40)).items()}
    assert differences(engine((one,))(company(7, accounts=40)), whole) == []


def test_every_signal_is_carried_by_a_company_that_has_every_table():
    assert carried(contract_tables(), catalogue(), "named") == catalogue()


def test_every_signal_has_two_values_or_more_somewhere():
    seen: dict[str, set[Value]] = {one.name: set() for one in catalogue()}
    for seed in range(20):
        for values in engine()(company(seed)).values():
            for name, value in values.items():
                seen[name].add(value)
    assert [name for name, values in seen.items() if len(values - {None}) < 2] == []
