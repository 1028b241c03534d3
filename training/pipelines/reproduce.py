"""Reproduction: a version made again from what its run holds, and held against it to the last byte."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

import numpy as np
from pydantic import ValidationError

from configs.errors import DataError, NothingToLearn, NotReady
from configs.settings import Settings
from configs.state_dir import State
from features.signals.registry import catalogue
from features.tables.mapping import read_dataset
from training.data.training_set import build_panel
from training.evaluation.backtest import fit_on, on, origin_splits
from training.labels.departures import supported_horizons
from training.model.churn_model import ChurnModel, encode
from training.model.fit import Recipe
from training.registry.mlflow_registry import Registry, open_registry
from training.registry.provenance import (
    Difference,
    Provenance,
    as_logged,
    differences,
    files_of,
    machine,
    sections_of,
    signals_of,
)
from training.registry.version import Version

Progress = Callable[[str, int, int], None]
STEPS = 3


@dataclass(frozen=True)
class Reproduced:
    """Whether booster and risks came out the same to the byte, the line as part of the booster, and what has changed.

    `could_not` says why the run could not be made again at all, where it could not.
    """

    number: int
    same_booster: bool
    same_risks: bool
    snapshots: int
    changed: tuple[Difference, ...]
    could_not: str = ""

    @property
    def is_same(self) -> bool:
        return self.same_booster and self.same_risks


def reproduce(settings: Settings, state: State, version: Version, progress: Progress) -> Reproduced:
    """Make a version again with the settings and on the days that its run holds.

    Raises NotReady where the run does not hold what it was made from, or was not made by training.
    """
    registry = open_registry(state, settings.name)
    made_from, logged = _held(registry, settings, version)
    progress("what has changed", 0, STEPS)
    changed = differences(made_from, _now(settings, made_from))
    progress("making it again", 1, STEPS)
    try:
        same = _same(registry.load(version), made_from, logged, state)
    except (NotReady, DataError, NothingToLearn) as problem:
        return Reproduced(version.number, False, False, 0, changed, problem.message)
    progress("done", STEPS, STEPS)
    return Reproduced(version.number, *same, changed)


def _held(registry: Registry, settings: Settings, version: Version) -> tuple[Provenance, Settings]:
    made_from = registry.provenance(version)
    if made_from is None:
        raise NotReady(f"Version {version.number} was made before runs kept what they were made from.", "Train again.")
    if made_from.parent is not None:
        raise NotReady(
            f"Version {version.number} was made of version {made_from.parent} without retraining.",
            f"Run `oarlock reproduce {made_from.parent}`.",
        )
    try:
        return made_from, as_logged(settings, made_from)
    except ValidationError:
        message = f"Version {version.number} was trained with settings that are no longer known."
        raise NotReady(message, "Check out the code that it was made by.") from None


def _now(settings: Settings, then: Provenance) -> Provenance:
    """What the same run would be made from now."""
    declared = tuple(one for one in catalogue() if one.name in then.signals)
    files = files_of(read_dataset(settings.data))
    return Provenance(sections_of(settings), then.days, then.known_until, files, signals_of(declared), machine())


def _same(then: ChurnModel, made_from: Provenance, logged: Settings, state: State) -> tuple[bool, bool, int]:
    """Whether the booster and the risks on the test days are the same, and on how many snapshots."""
    panel = build_panel(logged, state, datetime.fromisoformat(made_from.known_until))
    rows = panel.rows[panel.rows.as_of.dt.strftime("%Y-%m-%d").isin(made_from.days)].reset_index(drop=True)
    days = [day.to_pydatetime() for day in sorted(rows.as_of.unique())]
    missing = sorted(set(made_from.days) - {f"{day:%Y-%m-%d}" for day in days})
    if missing:
        raise NotReady(f"The history no longer has {missing[0]}, one of {len(missing)} days that are missing.")
    split = origin_splits(days, logged)[0]
    signals = tuple(one for one in panel.place.signals if one.name in set(then.names))
    recipe = Recipe(signals, logged.training, dict(then.label), dict(then.identity), supported_horizons(logged.label)[0])
    again, test = fit_on(rows, split, recipe), on(rows, split.test)
    before, after = (one.risks_within(encode(test, one.inputs)) for one in (then, again))
    return again.is_alike(then), np.array_equal(before, after), len(test)
