"""Splits: which days the trees learn from, which the calibrator, and which are only looked at to judge both.

Time runs one way: the answers of each group were all known before the first day of the next, so nothing is learned from
a horizon that reaches into the days it is judged on. The calibrator only sees margins that earlier trees gave to later
days; the trees that are served are then grown again on every day whose answers were known before the test.
"""

from dataclasses import dataclass
from datetime import datetime

from configs.errors import NothingToLearn
from configs.settings import LabelSettings, TrainingSettings
from training.labels.departures import supported_horizons, matures_at

Days = tuple[datetime, ...]


@dataclass(frozen=True)
class Longer:
    """The days for a horizon beyond the main one, whose answers take longer to be known.

    Trees grown on `early` give `calibration` the margins that the risk within the horizon is learned from.
    """

    horizon_days: int
    early: Days
    calibration: Days


@dataclass(frozen=True)
class Split:
    """The as_of days, oldest first: `early` and `calibration` for the calibrator, `known` for the trees, `test`.

    `longer` has the horizons beyond the main one that the history is long enough for.
    """

    early: Days
    calibration: Days
    known: Days
    test: Days
    longer: tuple[Longer, ...] = ()

    @property
    def groups(self) -> dict[str, Days]:
        """Every group of days by its name."""
        main = {name: getattr(self, name) for name in ("early", "calibration", "known", "test")}
        return main | {f"calibration of {one.horizon_days} days": one.calibration for one in self.longer}


def split_days(days: list[datetime], label: LabelSettings, training: TrainingSettings) -> Split:
    """Mature days, oldest first, as early < calibration < test with an embargo of lead + horizon + grace between them.

    Raises NothingToLearn where there are too few days.
    """
    test = tuple(days[-training.test_snapshots :])
    known = _known_before(test, days, label)
    calibration = tuple(known[-training.calibration_snapshots :])
    early = _known_before(calibration, days, label)
    if not early:
        raise NothingToLearn(
            f"{len(days)} mature days of snapshots are too few to learn from, to calibrate on and to test on.",
            "Bring a longer history, or shorten label.horizon_days or training.calibration_snapshots.",
        )
    return Split(tuple(early), calibration, tuple(known), test, _longer(test, days, label, training))


def _longer(test: Days, days: list[datetime], label: LabelSettings, training: TrainingSettings) -> tuple[Longer, ...]:
    found = []
    for horizon_days in supported_horizons(label)[0]:
        known = _known_before(test, days, label.model_copy(update={"horizon_days": horizon_days}))
        calibration = tuple(known[-training.calibration_snapshots :])
        early = tuple(_known_before(calibration, days, label))
        if horizon_days > label.horizon_days and early:
            found.append(Longer(horizon_days, early, calibration))
    return tuple(found)


def _known_before(group: Days, days: list[datetime], label: LabelSettings) -> list[datetime]:
    return [day for day in days if group and matures_at(day, label) <= group[0]]
