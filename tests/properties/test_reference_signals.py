"""DuckDB agrees with the reference values, which are computed in plain Python."""

import pytest

from features.own_signals.generated_tables import AS_OF
from tests.support.companies.compiled_catalogue import values_of_company
from tests.support.companies.random_companies import random_company
from tests.support.companies.reference_signals import REFERENCE, snapshots

any_company = pytest.mark.parametrize("seed", range(20))


@any_company
def test_duckdb_has_the_same_snapshots_as_the_reference(seed):
    reference = snapshots(random_company(seed), AS_OF)
    assert sorted(values_of_company(seed)) == [snapshot.account for snapshot in reference]


@any_company
def test_duckdb_gives_the_same_values_as_the_reference(seed):
    values = values_of_company(seed)
    for snapshot in snapshots(random_company(seed), AS_OF):
        expected = {name: formula(snapshot) for name, formula in REFERENCE.items()}
        assert {name: values[snapshot.account][name] for name in REFERENCE} == pytest.approx(expected)
