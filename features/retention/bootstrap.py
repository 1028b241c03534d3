"""A bootstrap of whole accounts, cheap for many: accounts that are alike are drawn together.

Each resample gives every account a weight of Poisson(1), and the sum of n such weights is Poisson(n). So accounts of a
group whose start and change are alike within a tenth are one cell: one draw, with their exact sums of money. Unchanged
accounts and those that left are a few cells, and an account with no other like it is a cell of its own.
"""

import numpy as np

SAMPLES, SAMPLES_PER_CHUNK = 500, 50
SEED = 20_240_701
LIKE = 0.1  # on the scale of logarithms
SIZES, CHANGES, LEFT = 512, 1024, -511  # the logarithm of an amount in 64 bits is below 44


def bootstrap_bounds(start: np.ndarray, end: np.ndarray, codes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The bounds of 95 % of gross and net for every group, each of the shape (groups, 2); every start is above 0.

    Every code from 0 to the largest has an account.

    >>> start, end = np.full(100, 100_00), np.repeat([100_00, 0], 50)
    >>> low, high = bootstrap_bounds(start, end, np.zeros(100, int))
    >>> low.round(1).tolist(), high.round(1).tolist()
    ([[0.4, 0.4]], [[0.6, 0.6]])
    """
    cells, cell = np.unique(codes * SIZES * CHANGES + _likeness(start, end), return_inverse=True)
    counts = np.bincount(cell)
    means = [np.bincount(cell, amounts) / counts for amounts in (start, np.minimum(start, end), end)]
    begins = np.searchsorted(cells // (SIZES * CHANGES), np.arange(codes.max() + 1))
    random = np.random.default_rng(SEED)
    chunks: list[np.ndarray] = []
    for _ in range(SAMPLES // SAMPLES_PER_CHUNK):
        weights = random.poisson(counts, (SAMPLES_PER_CHUNK, len(counts))).astype("float64")
        base, retained, paid = (np.add.reduceat(weights * mean, begins, axis=1) for mean in means)
        with np.errstate(invalid="ignore"):  # a sample may have nobody of a small group, which gets no interval
            chunks.append(np.stack([retained / base, paid / base], axis=2))
    low, high = np.nan_to_num(np.quantile(np.concatenate(chunks), (0.025, 0.975), axis=0))
    return low, high


def _likeness(start: np.ndarray, end: np.ndarray) -> np.ndarray:
    """A number per account: equal if the start and the change are alike, and never of a gain, a loss and no change."""
    change = np.log(np.maximum(end, 1) / start) / LIKE
    steps = np.where(end == 0, LEFT, np.copysign(np.ceil(np.abs(change)), change))
    return (np.log(start) / LIKE).astype(np.int64) * CHANGES + steps.astype(np.int64) + CHANGES // 2
