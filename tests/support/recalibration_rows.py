"""A model of two horizons, and snapshots of later days on which twice as many accounts leave."""

from dataclasses import replace
from datetime import datetime

import pandas as pd

from tests.support.training_rows import FIT_CONFIG, snapshots
from training.model.churn_model import ChurnModel
from training.model.fit import FitRows, fit_churn_model


def fit_two_horizons() -> ChurnModel:
    """A model for 30 and 60 days; half of the accounts that left did so within 30 days."""
    parts = [snapshots(0.3, seed=seed) for seed in range(3)]
    fit, calibration, train = (part.assign(churned_30=part.churned.where(part.index % 2 == 0, 0.0)) for part in parts)
    return fit_churn_model(FitRows(fit, calibration, train), replace(FIT_CONFIG, horizons=(30, 60)))


def high_churn_rows(seed: int = 5, as_of: datetime = datetime(2023, 1, 1)) -> pd.DataFrame:
    """Snapshots of the same company when twice as many accounts leave."""
    return snapshots(0.6, n=3000, seed=seed).assign(as_of=as_of)
