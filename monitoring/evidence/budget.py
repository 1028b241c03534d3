"""The budget of false alarms: one number a year, split over everything that can raise an alarm."""

from statistics import NormalDist

YEAR_DAYS = 366
MAX_DAYS = 28  # a run after a longer pause spends no more
DETECTORS = ("sources", "drift", "outcomes", "plays")


def yearly_budget(false_alarms_per_year: float) -> float:
    """The share of the yearly budget that each detector may spend.

    >>> yearly_budget(0.05)
    0.0125
    """
    return false_alarms_per_year / len(DETECTORS)


def level_of_run(false_alarms_per_year: float, days: int) -> float:
    """What a detector may spend on a run that is so many days after the one before.

    Runs of a year spend its budget together, whether there is one a day or one a month.

    >>> round(366 / 7 * level_of_run(0.05, days=7), 4)
    0.0125
    """
    return yearly_budget(false_alarms_per_year) * min(max(days, 1), MAX_DAYS) / YEAR_DAYS


def critical_value(level: float) -> float:
    """The value that a standard normal variable exceeds with this probability.

    >>> round(critical_value(0.025), 2)
    1.96
    """
    return -NormalDist().inv_cdf(level)
