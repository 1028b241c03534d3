"""Wilson's score interval of a share (Wilson, 1927). SciPy has it too, but a worker of the service imports no SciPy."""

from math import sqrt
from statistics import NormalDist

CONFIDENCE = 0.95
Z = NormalDist().inv_cdf((1 + CONFIDENCE) / 2)


def wilson_bounds(successes: float, total: float) -> tuple[float, float]:
    """The bounds of the 95 % interval of a share of `total`, which may be weighted; 0 and 1 of none.

    >>> tuple(round(bound, 4) for bound in wilson_bounds(10, 100))
    (0.0552, 0.1744)
    >>> wilson_bounds(0, 0)
    (0.0, 1.0)
    """
    if total == 0:
        return 0.0, 1.0
    share, scale = successes / total, Z**2 / total
    centre = (share + scale / 2) / (1 + scale)
    half = Z / (1 + scale) * sqrt(share * (1 - share) / total + scale / total / 4)
    return (max(centre - half, 0.0) if successes else 0.0), (min(centre + half, 1.0) if successes < total else 1.0)
