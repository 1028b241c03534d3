"""E-values: evidence whose expectation is at most 1 where there is nothing to find; 20 is one error in 20."""

import math

MAX_LOG = 700.0  # beyond, a float is infinite, which JSON does not have


def to_e_value(log_value: float) -> float:
    """The e-value of a logarithm, finite for any of them.

    >>> to_e_value(0.0), math.isfinite(to_e_value(1e6))
    (1.0, True)
    """
    return math.exp(min(log_value, MAX_LOG))
