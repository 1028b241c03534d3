"""Cluster bootstrap: resamples of whole accounts, as weights of their snapshots.

Snapshots of one account resemble each other, so a bootstrap of rows would make every interval too narrow (Field &
Welsh, 2007, on the cluster bootstrap).
"""

from collections.abc import Iterator

import numpy as np
import pandas as pd

from features.tables.contract import ACCOUNT_ID

CONFIDENCE = 0.95
MAX_CELLS = 4_000_000
SEED = 0


def bootstrap_weights(account_ids: np.ndarray, samples: int) -> Iterator[np.ndarray]:
    """How often each snapshot is drawn, shape (samples, snapshots), in batches that fit in memory."""
    accounts, index = np.unique(account_ids, return_inverse=True)
    generator = np.random.default_rng(SEED)
    probabilities = np.full(len(accounts), 1 / len(accounts))
    batch = max(MAX_CELLS // len(account_ids), 1)
    for start in range(0, samples, batch):
        draws = generator.multinomial(len(accounts), probabilities, size=min(batch, samples - start))
        yield draws[:, index].astype("float64")


def sample_accounts(rows: pd.DataFrame, max_snapshots: int) -> pd.DataFrame:
    """All snapshots of randomly chosen accounts, `max_snapshots` or fewer in total; always the same ones."""
    if len(rows) <= max_snapshots:
        return rows
    sizes = rows.groupby(ACCOUNT_ID).size().sample(frac=1.0, random_state=SEED)
    return rows[rows[ACCOUNT_ID].isin(sizes.index[sizes.cumsum() <= max_snapshots])]


def percentile_interval(values: np.ndarray, confidence: float = CONFIDENCE) -> tuple[float, float]:
    """The percentile interval of a metric over resamples; resamples in which it is undefined (NaN) are ignored."""
    defined = values[~np.isnan(values)]
    if len(defined) == 0:
        return float("nan"), float("nan")
    low, high = np.quantile(defined, [(1 - confidence) / 2, (1 + confidence) / 2])
    return float(low), float(high)
