"""Resampling: bootstrap samples of whole accounts, as weights of the snapshots.

Snapshots of one account are alike, so drawing rows would make every interval too narrow (Field & Welsh, 2007, on the
cluster bootstrap).
"""

from collections.abc import Iterator

import numpy as np
import pandas as pd

CONFIDENCE = 0.95
MOST_CELLS = 4_000_000
SEED = 0
KEY = "account_id"


def resamples(accounts: np.ndarray, count: int) -> Iterator[np.ndarray]:
    """How often each snapshot is drawn, shape (resamples, snapshots), in batches that fit in memory; `count` in all."""
    names, of = np.unique(accounts, return_inverse=True)
    generator = np.random.default_rng(SEED)
    evenly = np.full(len(names), 1 / len(names))
    batch = max(MOST_CELLS // len(accounts), 1)
    for done in range(0, count, batch):
        drawn = generator.multinomial(len(names), evenly, size=min(batch, count - done))
        yield drawn[:, of].astype("float64")


def of_some_accounts(rows: pd.DataFrame, most: int) -> pd.DataFrame:
    """All snapshots of as many accounts as together have `most` or fewer, drawn evenly; the same every time."""
    if len(rows) <= most:
        return rows
    sizes = rows.groupby(KEY).size().sample(frac=1.0, random_state=SEED)
    return rows[rows[KEY].isin(sizes.index[sizes.cumsum() <= most])]


def bounds(drawn: np.ndarray, confidence: float = CONFIDENCE) -> tuple[float, float]:
    """The percentile interval of a figure over resamples; a resample that could not tell it (NaN) is left out."""
    told = drawn[~np.isnan(drawn)]
    if len(told) == 0:
        return float("nan"), float("nan")
    low, high = np.quantile(told, [(1 - confidence) / 2, (1 + confidence) / 2])
    return float(low), float(high)
