"""Rounded parts add up to the rounded sum, and no part is off by a whole unit."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from configs.rounding import round_parts

PARTS = st.lists(st.floats(-1_000, 1_000), min_size=1, max_size=30)


@pytest.mark.parametrize(
    ("parts", "total", "rounded"),
    [
        ([0.5, 0.5], 1, [1, 0]),
        ([1.4, 1.4, 1.4], 4, [2, 1, 1]),
        ([-1.2, 3.4], 2, [-1, 3]),
        ([3.0, 0.4, 0.4], 4, [3, 1, 0]),
        ([0.0, 0.0], 0, [0, 0]),
        ([], 0, []),
    ],
)
def test_parts_with_the_largest_remainders_are_rounded_up(parts, total, rounded):
    assert round_parts(parts, total) == rounded


@given(PARTS)
def test_rounded_parts_sum_to_the_rounded_sum(parts):
    total = round(math.fsum(parts))
    rounded = round_parts(parts, total)
    assert sum(rounded) == total
    assert all(abs(whole - part) < 1 for whole, part in zip(rounded, parts, strict=True))


@given(st.lists(PARTS, min_size=1, max_size=6))
def test_parts_of_rounded_parts_sum_to_them(groups):
    sums = [math.fsum(group) for group in groups]
    for group, total in zip(groups, round_parts(sums, round(math.fsum(sums))), strict=True):
        assert sum(round_parts(group, total)) == total


def test_parts_that_miss_the_total_are_refused():
    with pytest.raises(ValueError, match="cannot be rounded to 5"):
        round_parts([1.0, 1.0], 5)
