"""Reproduction: a version is trained again from its stored settings, and compared with the original byte by byte."""

from dataclasses import dataclass
from datetime import datetime

import numpy as np
import pandas as pd
from pydantic import ValidationError

from configs.errors import DataError, NothingToLearn, NotReady
from configs.progress import Progress
from configs.sections.monitoring import MonitoringSettings
from configs.settings import Settings
from configs.state_dir import StateDir
from features.own_signals.own_catalogue import open_catalogue
from features.tables.dataset import read_dataset
from training.data.training_set import build_training_set
from training.evaluation.backtest import backtest_splits, fit_split, rows_on
from training.labels.definition import supported_horizons
from training.model.churn_model import ChurnModel, encode
from training.model.fit import FitConfig
from training.registry.mlflow_registry import Registry, open_registry
from training.registry.provenance import (
    Provenance,
    ProvenanceDifference,
    compare_provenance,
    describe_environment,
    hash_files,
    hash_signals,
    model_settings,
    restore_settings,
)
from training.registry.version import Version

STEPS = 3


@dataclass(frozen=True)
class ReproductionResult:
    """Whether booster and risks came out the same to the byte, and what has changed since.

    The linear model counts as part of the booster. `failure` says why the version could not be trained again.
    """

    version: int
    same_booster: bool
    same_risks: bool
    snapshots: int
    differences: tuple[ProvenanceDifference, ...]
    failure: str = ""

    @property
    def is_same(self) -> bool:
        return self.same_booster and self.same_risks


def reproduce(settings: Settings, state: StateDir, version: Version, progress: Progress) -> ReproductionResult:
    """Train a version again with its stored settings and on its days.

    Raises NotReady if its provenance was not stored, or if it was not made by training.
    """
    registry = open_registry(state, settings.name)
    provenance = _trained_provenance(registry, version)
    stored_settings = _restore(settings, provenance, version)
    progress("comparing the provenance", 0, STEPS)
    differences = compare_provenance(provenance, _present_provenance(settings, provenance, state))
    progress("training it again", 1, STEPS)
    try:
        same = _train_again(registry.load_model(version), provenance, stored_settings, state)
    except (NotReady, DataError, NothingToLearn) as error:
        return ReproductionResult(version.number, False, False, 0, differences, error.message)
    progress("done", STEPS, STEPS)
    return ReproductionResult(version.number, *same, differences)


def _trained_provenance(registry: Registry, version: Version) -> Provenance:
    provenance = registry.provenance(version)
    if provenance is None:
        raise NotReady(f"Version {version.number} has no stored provenance.", "Run `oarlock train`.")
    if provenance.parent is not None:
        raise NotReady(
            f"Version {version.number} was made from version {provenance.parent} without retraining.",
            f"Run `oarlock reproduce {provenance.parent}`.",
        )
    if provenance.adopted_from:
        raise NotReady(
            f"Version {version.number} was adopted from {provenance.adopted_from}, not trained here.",
            "Run `oarlock models adopt` with the same folder: it finds the version that it made before.",
        )
    return provenance


def _restore(settings: Settings, provenance: Provenance, version: Version) -> Settings:
    # The stored days decide alone: days that are left out now may be among them.
    every_day = settings.model_copy(update={"monitoring": MonitoringSettings()})
    try:
        return restore_settings(every_day, provenance)
    except ValidationError:
        message = f"Version {version.number} was trained with settings that no longer exist."
        raise NotReady(message, "Check out the release that trained it.") from None


def _present_provenance(settings: Settings, stored: Provenance, state: StateDir) -> Provenance:
    """What the same training would use now."""
    signals = tuple(signal for signal in open_catalogue(settings, state).signals if signal.name in stored.signals)
    return Provenance(
        settings=model_settings(settings),
        days=stored.days,
        known_until=stored.known_until,
        files=hash_files(read_dataset(settings.data)),
        signals=hash_signals(signals),
        environment=describe_environment(),
    )


def _train_again(
    model: ChurnModel, provenance: Provenance, settings: Settings, state: StateDir
) -> tuple[bool, bool, int]:
    """Whether the booster and the risks on the test days are the same, and the number of snapshots."""
    training_set = build_training_set(settings, state, datetime.fromisoformat(provenance.known_until))
    rows = _rows_of_days(training_set.rows, provenance.days)
    split = backtest_splits([day.to_pydatetime() for day in sorted(rows.as_of.unique())], settings)[0]
    signals = tuple(signal for signal in training_set.history.signals if signal.name in set(model.signal_names))
    horizons, _ = supported_horizons(settings.label)
    again = fit_split(rows, split, FitConfig(signals, settings.training, model.label, model.identity, horizons))
    test = rows_on(rows, split.test)
    before, after = (side.predict_risks_by_horizon(encode(test, side.inputs)) for side in (model, again))
    return again.has_same_margins_as(model), np.array_equal(before, after), len(test)


def _rows_of_days(rows: pd.DataFrame, days: tuple[str, ...]) -> pd.DataFrame:
    """The snapshots of these days; raises NotReady if the history no longer has one of them."""
    names: pd.Series[str] = rows.as_of.dt.strftime("%Y-%m-%d")
    missing = sorted(set(days) - set(names))
    if missing:
        message = f"The history no longer has {missing[0]}; {len(missing)} of its days are missing."
        raise NotReady(message, "Publish these days again, with the raw files of that time.")
    return rows[names.isin(days)].reset_index(drop=True)
