"""Fourteen months of snapshots and the settings of a backtest on them."""

from datetime import datetime, timedelta
from pathlib import Path

from configs.sections.evaluation import EvaluationSettings
from configs.sections.label import LabelSettings
from configs.sections.publishing import DataSettings
from configs.sections.training import TrainingSettings
from configs.settings import Settings
from features.signals.registry import catalogue
from training.labels.definition import describe_label
from training.model.fit import FitConfig

DAYS = [datetime(2023, 1, 1) + timedelta(days=30 * n) for n in range(14)]


SIGNALS = tuple(signal for signal in catalogue() if signal.name in ("events_28d", "days_until_renewal", "plan"))


SETTINGS = Settings(
    name="acme",
    data=DataSettings(dataset=Path("acme.toml")),
    label=LabelSettings(horizon_days=30, grace_days=10),
    training=TrainingSettings(num_iterations=20, min_data_in_leaf=20, calibration_snapshots=2),
    evaluation=EvaluationSettings(backtest_folds=3, group_kfold=2, bootstrap_samples=50),
)


FIT_CONFIG = FitConfig(SIGNALS, SETTINGS.training, describe_label(SETTINGS.label), {"label": "x"})
