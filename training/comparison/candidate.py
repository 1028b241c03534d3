"""Candidates: the two versions of a comparison, and the snapshots on which they are compared."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from itertools import pairwise
from statistics import median

import pandas as pd

from configs.settings import Settings
from configs.state_dir import StateDir
from features.store.feast_store import open_history_store, read_historical_signals
from features.store.history import complete_days
from training.data.time_splits import Days
from training.data.training_set import TrainingSet, snapshots_on
from training.evaluation.backtest import BacktestFold, rows_on
from training.model.churn_model import ChurnModel
from training.registry.mlflow_registry import Registry
from training.registry.provenance import Provenance
from training.registry.version import Version

MIN_RHYTHM_DAYS = 3
TEST_GROUP = "test"  # the days of a split that no part of the model is fitted on
RHYTHM_TOLERANCE = 0.9  # months are 28 to 31 days long


@dataclass(frozen=True)
class Candidate:
    """One side of a comparison: the number of its version, its model, and its provenance (None if none was stored).

    `learned_on` are the days whose labels its trees and its calibrator know; empty if that is not known.
    """

    version: int
    model: ChurnModel
    provenance: Provenance | None
    learned_on: tuple[str, ...] = ()

    def own_days(self, days: Sequence[datetime]) -> tuple[datetime, ...]:
        """Those of `days` that its recipe learns from: its own, and later ones in the rhythm of its own.

        A version of monthly snapshots does not become one of weekly snapshots because weekly ones exist now.
        """
        own = sorted(datetime.fromisoformat(day) for day in self.provenance.days) if self.provenance else []
        if len(own) < MIN_RHYTHM_DAYS:
            return tuple(days)
        rhythm = RHYTHM_TOLERANCE * median([(later - day).days for day, later in pairwise(own)])
        chosen = [day for day in days if day in own]
        for day in days:
            if day > own[-1] and (day - (chosen or own)[-1]).days >= rhythm:
                chosen.append(day)
        return tuple(chosen)

    @property
    def is_adopted(self) -> bool:
        """Whether its trees were fitted to the margins of another company's model, and so know no label here."""
        return self.provenance is not None and bool(self.provenance.adopted_from)

    @property
    def recalibration_days(self) -> tuple[str, ...]:
        """The days its calibrator was fitted on again; none if it was fitted together with its trees."""
        return self.provenance.calibrated_on if self.provenance else ()


@dataclass(frozen=True)
class ComparisonContext:
    """The snapshots of a comparison, and those of the newest published day, whose explanations are compared.

    `backtests` holds, by version, the folds that were evaluated already.
    """

    training_set: TrainingSet
    settings: Settings
    newest_rows: pd.DataFrame
    backtests: Mapping[int, Mapping[Days, BacktestFold]] = field(default_factory=dict[int, Mapping[Days, BacktestFold]])

    def recalibration_rows(self, candidate: Candidate) -> pd.DataFrame:
        """The snapshots that a candidate's calibrator was fitted on again."""
        days = (day for day in self.training_set.days if f"{day:%Y-%m-%d}" in candidate.recalibration_days)
        return rows_on(self.training_set.rows, tuple(days))


def build_comparison_context(training_set: TrainingSet, settings: Settings, state: StateDir) -> ComparisonContext:
    """The context of comparisons on this training set."""
    history = training_set.history
    newest = snapshots_on(history, complete_days(history)[-1:])
    return ComparisonContext(
        training_set, settings, read_historical_signals(open_history_store(state, history, settings.name), newest)
    )


def load_candidate(registry: Registry, version: Version) -> Candidate:
    """A version as a candidate; raises NotReady if its files can no longer be read."""
    model, provenance = registry.load_model(version), registry.provenance(version)
    split = registry.evaluation(version).split
    learned_on = {day for group, days in split.items() if group != TEST_GROUP for day in days}
    calibrated_on = provenance.calibrated_on if provenance else ()
    return Candidate(version.number, model, provenance, tuple(sorted({*learned_on, *calibrated_on})))
