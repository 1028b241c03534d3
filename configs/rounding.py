"""Rounds the parts of a sum so that they still add up to the rounded sum: the largest-remainder method.

Rounded one by one, parts can miss their rounded sum by several units. Here every part becomes one of the two whole
numbers beside it, and those with the largest remainders are rounded up (Hamilton's method of apportionment).
"""

import math
from collections.abc import Sequence


def round_parts(parts: Sequence[float], total: int) -> list[int]:
    """The parts as whole numbers that sum to `total`, which is the rounded sum; each differs from its part by under 1.

    To keep decimals, scale first: points in tenths are the points times 10. A part that is a whole number changes only
    if all others cannot reach the total. Raises ValueError if the parts do not sum to about the total.

    >>> round_parts([33.4, 33.3, 33.3], 100)
    [34, 33, 33]
    >>> round_parts([2.5, -0.4, -0.1], 2)
    [2, 0, 0]
    """
    floors = [math.floor(part) for part in parts]
    missing = total - sum(floors)
    if not 0 <= missing <= len(parts):
        raise ValueError(f"{len(parts)} parts that sum to {sum(parts):g} cannot be rounded to {total}")
    by_remainder = sorted(range(len(parts)), key=lambda index: floors[index] - parts[index])
    rounded_up = frozenset(by_remainder[:missing])
    return [floor + (index in rounded_up) for index, floor in enumerate(floors)]
