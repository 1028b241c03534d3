"""DuckDB agrees with the reference engine, which computes the same signals the slow, obvious way."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.compiled_catalogue import engine
from tests.support.random_companies import AS_OF, company
from tests.support.reference_signals import REFERENCE, snapshots

seeds = st.integers(0, 2**32 - 1)


@settings(max_examples=40, deadline=None, derandomize=True)
@given(seeds)
def test_both_engines_see_the_same_snapshots(seed):
    seen = snapshots(company(seed), AS_OF)
    assert sorted(engine()(company(seed))) == [one.account for one in seen]


@settings(max_examples=40, deadline=None, derandomize=True)
@given(seeds)
def test_both_engines_give_the_same_values(seed):
    values = engine()(company(seed))
    for seen in snapshots(company(seed), AS_OF):
        expected = {name: formula(seen) for name, formula in REFERENCE.items()}
        assert {name: values[seen.account][name] for name in REFERENCE} == pytest.approx(expected)
