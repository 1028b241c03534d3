"""Time splits: the days that trees are fitted on, the days of the calibrator, and the days both are tested on.

Time runs one way: the labels of each group were all known before the first day of the next, so no label reaches into
the days it is tested on. The calibrator reads margins of trees that were fitted on earlier days. The final trees are
fitted again, on all days whose labels were known before the test.
"""

from dataclasses import dataclass
from datetime import datetime

from configs.errors import NothingToLearn
from configs.sections.label import LabelSettings
from configs.sections.training import TrainingSettings
from training.labels.definition import matures_at, supported_horizons

Days = tuple[datetime, ...]


@dataclass(frozen=True)
class LongHorizon:
    """The days for a horizon beyond the main one, whose labels take longer to mature.

    Trees fitted on the `fit` days give the margins of the `calibration` days.
    """

    horizon_days: int
    fit: Days
    calibration: Days


@dataclass(frozen=True)
class TimeSplit:
    """The as_of days, oldest first: `fit` and `calibration` for the calibrator, `train` for the final trees, `test`.

    `long_horizons` has the horizons beyond the main one for which the history is long enough.
    """

    fit: Days
    calibration: Days
    train: Days
    test: Days
    long_horizons: tuple[LongHorizon, ...] = ()

    @property
    def groups(self) -> dict[str, Days]:
        """Every group of days by its name."""
        main = {"fit": self.fit, "calibration": self.calibration, "train": self.train, "test": self.test}
        return main | {f"calibration of {long.horizon_days} days": long.calibration for long in self.long_horizons}


def split_days(days: list[datetime], label: LabelSettings, training: TrainingSettings) -> TimeSplit:
    """Mature days, oldest first, as fit < calibration < test, with lead + horizon + grace between the groups.

    Raises NothingToLearn if there are too few days.
    """
    test = tuple(days[-training.test_snapshots :])
    train = _known_before(test, days, label)
    calibration = train[-training.calibration_snapshots :]
    fit = _known_before(calibration, days, label)
    if not fit:
        raise NothingToLearn(
            f"{len(days)} mature days of snapshots are too few to train on, to calibrate on and to test on.",
            "Bring a longer history, shorten label.horizon_days or training.calibration_snapshots, or adopt another"
            " company's model (`oarlock models adopt`).",
        )
    return TimeSplit(fit, calibration, train, test, _split_long_horizons(test, days, label, training))


def _split_long_horizons(
    test: Days, days: list[datetime], label: LabelSettings, training: TrainingSettings
) -> tuple[LongHorizon, ...]:
    splits: list[LongHorizon] = []
    for horizon_days in supported_horizons(label)[0]:
        train = _known_before(test, days, label.model_copy(update={"horizon_days": horizon_days}))
        calibration = train[-training.calibration_snapshots :]
        fit = _known_before(calibration, days, label)
        if horizon_days > label.horizon_days and fit:
            splits.append(LongHorizon(horizon_days, fit, calibration))
    return tuple(splits)


def _known_before(group: Days, days: list[datetime], label: LabelSettings) -> Days:
    """The days whose labels were all known on the first day of the group."""
    return tuple(day for day in days if group and matures_at(day, label) <= group[0])
