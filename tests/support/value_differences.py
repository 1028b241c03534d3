"""The differences between two computations of the same signals."""

import math

from tests.support.compiled_catalogue import Value, Values


def differences(found: Values, expected: Values) -> list[tuple[str, str, Value, Value]]:
    """Every account and signal of which the value is not the expected one, up to the rounding of sums."""
    assert found.keys() == expected.keys()
    return [
        (account, name, found[account][name], value)
        for account, values in expected.items()
        for name, value in values.items()
        if not _same(found[account][name], value)
    ]


def _same(one: Value, other: Value) -> bool:
    if isinstance(one, float) and isinstance(other, float):
        return math.isclose(one, other, rel_tol=1e-9, abs_tol=1e-9)
    return one == other
