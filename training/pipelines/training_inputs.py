"""Training inputs: the snapshots, splits and settings that a model is trained on, its identity and its provenance."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from functools import cached_property

from configs.sections.training import TrainingSettings
from configs.settings import Settings
from configs.state_dir import StateDir
from features.compute.fingerprints import signal_set
from features.tables.dataset import read_dataset
from training.data.label_checks import LabelledSplit, check_labels, raise_for_faults
from training.data.time_splits import TimeSplit
from training.data.training_set import TrainingSet, build_training_set
from training.evaluation.backtest import backtest_splits
from training.labels.definition import describe_label, label_hash, supported_horizons
from training.model.fit import FitConfig
from training.registry.provenance import (
    Provenance,
    code_hash,
    describe_environment,
    hash_files,
    hash_signals,
    libraries_hash,
    model_settings,
)


@dataclass(frozen=True)
class TrainingInputs:
    """What a model is trained and evaluated on; `splits` are those of the backtest, newest first."""

    settings: Settings
    training_set: TrainingSet
    splits: list[TimeSplit]
    known_until: datetime

    @cached_property
    def identity(self) -> dict[str, str]:
        """Hashes of all that decides which model is trained."""
        return model_identity(self.settings, self.training_set)

    @property
    def identity_hash(self) -> str:
        return _hash(self.identity)

    @property
    def fit_config(self) -> FitConfig:
        """How the model is fitted."""
        label = self.settings.label
        horizons, _ = supported_horizons(label)
        signals = self.training_set.history.signals
        return FitConfig(signals, self.settings.training, describe_label(label), self.identity, horizons)

    def with_training_settings(self, training: TrainingSettings) -> "TrainingInputs":
        """The same snapshots and splits with other training settings."""
        return replace(self, settings=self.settings.model_copy(update={"training": training}))


def read_training_inputs(settings: Settings, state: StateDir, known_until: datetime) -> TrainingInputs:
    """Every snapshot that is mature by `known_until`.

    Raises NothingToLearn if there are too few, LabelsRefused if a model would learn something else from their labels.
    """
    training_set = build_training_set(settings, state, known_until)
    splits = backtest_splits(training_set.days, settings)
    data = LabelledSplit(training_set.rows, training_set.context, splits[0], training_set.history.signals)
    raise_for_faults(check_labels(data, settings.label, training_set.known_until))
    return TrainingInputs(settings, training_set, splits, training_set.known_until)


def model_identity(settings: Settings, training_set: TrainingSet) -> dict[str, str]:
    """Hashes of all that decides which model is trained; with equal ones it is not trained again."""
    signals = training_set.history.signals
    return {
        "data": training_set.data_hash,
        "signal_set": signal_set(signals),
        "directions": _hash({signal.name: (signal.direction, signal.actionable) for signal in signals}),
        "words": _hash({s.name: (s.label, s.text, s.absent, s.moves, s.unit) for s in signals}),
        "label": label_hash(settings.label),
        "horizons": _hash({"days": supported_horizons(settings.label)[0]}),
        "training": _hash(settings.training.model_dump()),
        "evaluation": _hash(settings.model_dump(include={"evaluation", "stability", "health_score", "leakage"})),
        "snapshots": _hash({"days": sorted(map(str, training_set.rows.as_of.unique()))}),
        "code": code_hash(),
        "libraries": libraries_hash(),
        "oarlock": describe_environment()["oarlock"],
    }


def build_provenance(settings: Settings, training_set: TrainingSet, known_until: datetime) -> Provenance:
    """The provenance of a model that is trained on this training set."""
    return Provenance(
        settings=model_settings(settings),
        days=tuple(f"{day:%Y-%m-%d}" for day in training_set.days),
        known_until=known_until.isoformat(),
        files=hash_files(read_dataset(settings.data)),
        signals=hash_signals(training_set.history.signals),
        environment=describe_environment(),
    )


def _hash(content: Mapping[str, object]) -> str:
    return hashlib.sha256(repr(sorted(content.items())).encode()).hexdigest()[:12]
