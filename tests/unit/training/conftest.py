"""Snapshots that the tests of training share."""

import pandas as pd
import pytest

from tests.support.backtest_rows import DAYS
from tests.support.training_rows import snapshots


@pytest.fixture(scope="package")
def rows() -> pd.DataFrame:
    """Fourteen days of 400 snapshots each, a third of which churn."""
    return pd.concat([snapshots(0.3, n=400, seed=n).assign(as_of=day) for n, day in enumerate(DAYS)], ignore_index=True)
