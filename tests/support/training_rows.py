"""Snapshots whose churn depends on their events, and the configuration to fit a model on them."""

from datetime import datetime

import numpy as np
import pandas as pd

from configs.sections.label import LabelSettings
from configs.sections.training import TrainingSettings
from features.signals.registry import catalogue
from training.labels.definition import describe_label
from training.model.fit import FitConfig, FitRows

SIGNALS = tuple(signal for signal in catalogue() if signal.name in ("events_28d", "days_until_renewal", "plan"))


FIT_CONFIG = FitConfig(
    SIGNALS,
    TrainingSettings(num_iterations=20, min_data_in_leaf=20),
    describe_label(LabelSettings(horizon_days=60)),
    {"label": "x"},
)


def snapshots(churned_share: float, n: int = 1000, seed: int = 0) -> pd.DataFrame:
    """Snapshots whose churn depends on their events."""
    generator = np.random.default_rng(seed)
    events = generator.exponential(100, n)
    rows = pd.DataFrame({"account_id": [str(i) for i in range(n)], "as_of": datetime(2023, 1, 1), "events_28d": events})
    rows["days_until_renewal"] = np.where(generator.random(n) < 0.2, np.nan, generator.uniform(0, 365, n))
    rows["plan"] = generator.choice(["basic", "pro"], n)
    rows["churned"] = (generator.random(n) < 2 * churned_share / (1 + events / 50)).astype(float)
    return rows


def fit_rows(churned_share: float = 0.3) -> FitRows:
    """Three samples of such snapshots: to fit on, to calibrate on, and to train on."""
    fit, calibration, train = (snapshots(churned_share, seed=seed) for seed in range(3))
    return FitRows(fit, calibration, train)
