"""Calibration departures: how many accounts left after the days that a version was calibrated on.

They say how little a version can know about its own level.
"""

from collections.abc import Collection, Mapping
from datetime import datetime

from configs.settings import Settings
from configs.state_dir import StateDir
from features.publishing.pipeline import OpenDataset
from features.store.history import complete_days
from features.tables.contract import ACCOUNT_ID
from training.data.training_set import observed_labels, snapshots_on
from training.registry.mlflow_registry import open_registry

Days = tuple[str, ...]


def read_calibration_days(
    settings: Settings, state: StateDir, versions: Collection[int], stored: Mapping[int, Days]
) -> Mapping[int, Days]:
    """The days of versions that are not stored yet; none of a version that was deleted since it served."""
    unknown = set(versions).difference(stored)
    if not unknown:
        return {}
    registry = open_registry(state, settings.name)
    registered = {version.number: version for version in registry.versions()}
    evaluations = {number: registry.evaluation(registered[number]) for number in unknown if number in registered}
    return dict.fromkeys(unknown, ()) | {
        number: tuple(evaluation.recalibrated_on or evaluation.split["calibration"])
        for number, evaluation in evaluations.items()
    }


def count_departures(opened: OpenDataset, settings: Settings, names: Days, known_until: datetime) -> int:
    """The accounts that left after these days; an account counts once, on however many days it was seen."""
    days = sorted({datetime.fromisoformat(name) for name in names} & {*complete_days(opened.history)})
    if not days:
        return 0
    snapshots = snapshots_on(opened.history, days)
    churned = observed_labels(opened, settings, snapshots, known_until)
    return int(snapshots[ACCOUNT_ID][churned == 1].nunique())
