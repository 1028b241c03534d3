"""How many accounts left within each horizon, and for which there are enough to train on."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

import pandas as pd

from configs.errors import NothingToLearn
from configs.sections.label import LabelSettings
from configs.settings import Settings
from configs.state_dir import StateDir
from features.publishing.open_dataset import OpenDataset, open_dataset
from features.tables.contract import ACCOUNT_ID
from training.data.time_splits import split_days
from training.data.training_set import label_snapshots
from training.labels.definition import CHURNED

HORIZONS = (30, 60, 90, 180, 365)


@dataclass(frozen=True)
class HorizonCount:
    """The snapshots of a horizon, and the accounts that left in it.

    `fit_churned` and `calibration_churned` are the snapshots of the two groups of days that did, None if the history is
    too short to have these groups; `is_enough` says whether a model can be trained.
    """

    horizon_days: int
    snapshots: int = 0
    churned_accounts: int = 0
    fit_churned: int | None = None
    calibration_churned: int | None = None
    is_enough: bool = False


def count_by_horizon(settings: Settings, state: StateDir, known_until: datetime) -> Sequence[HorizonCount]:
    """The counts of the labelled snapshots for the usual horizons and that of the settings, rising.

    A query has one horizon. Raises NotReady if no day was published.
    """
    label = settings.label
    horizons = {label.horizon_days} if label.mode == "query" else {*HORIZONS, label.horizon_days}
    shortest = label.inactive_days if label.mode == "inactivity" else 1
    labels = [_ask_within(label, days) for days in sorted(horizons) if days >= shortest]
    opened = open_dataset(settings, state)
    until = opened.known_until(known_until)
    return [_count(opened, settings.model_copy(update={"label": changed}), until) for changed in labels]


def _ask_within(label: LabelSettings, days: int) -> LabelSettings:
    """The label with another horizon; only the main one may be of calendar months."""
    if days == label.horizon_days:
        return label
    return label.model_copy(update={"horizon_days": days, "horizon_months": None})


def _count(opened: OpenDataset, settings: Settings, known_until: datetime) -> HorizonCount:
    horizon_days = settings.label.horizon_days
    try:
        rows = label_snapshots(opened, settings, known_until).rows
    except NothingToLearn:
        return HorizonCount(horizon_days)
    accounts = int(rows[ACCOUNT_ID][rows[CHURNED] == 1].nunique())
    fit, calibration, test = _group_labels(rows, settings)
    if fit is None or calibration is None or test is None:
        return HorizonCount(horizon_days, len(rows), accounts)
    needed = settings.training.min_churned
    return HorizonCount(
        horizon_days,
        len(rows),
        accounts,
        int(fit.sum()),
        int(calibration.sum()),
        is_enough=all(_has_both(*pair) for pair in ((fit, needed), (calibration, needed), (test, 1))),
    )


def _has_both(churned: pd.Series, needed: int) -> bool:
    """Whether so many snapshots churned, and as many stayed."""
    left = int(churned.sum())
    return min(left, len(churned) - left) >= needed


def _group_labels(
    rows: pd.DataFrame, settings: Settings
) -> tuple[pd.Series | None, pd.Series | None, pd.Series | None]:
    """The labels of the days of the fit, the calibration and the test; None if there are too few days."""
    days = [day.to_pydatetime() for day in sorted(rows.as_of.unique())]
    try:
        split = split_days(days, settings.label, settings.training)
    except NothingToLearn:
        return None, None, None
    fit, calibration, test = (
        rows[CHURNED][rows.as_of.isin(days)] for days in (split.fit, split.calibration, split.test)
    )
    return fit, calibration, test
