"""The differences between two computations of the same signals."""

import math

from tests.support.companies.compiled_catalogue import Value, ValuesByAccount


def find_differences(actual: ValuesByAccount, expected: ValuesByAccount) -> list[tuple[str, str, Value, Value]]:
    """Each account and signal whose values differ by more than the rounding of sums, with both values."""
    assert actual.keys() == expected.keys()
    return [
        (account, name, actual[account][name], value)
        for account, values in expected.items()
        for name, value in values.items()
        if not _is_close(actual[account][name], value)
    ]


def _is_close(left: Value, right: Value) -> bool:
    if isinstance(left, float) and isinstance(right, float):
        return math.isclose(left, right, rel_tol=1e-9, abs_tol=1e-9)
    return left == right
