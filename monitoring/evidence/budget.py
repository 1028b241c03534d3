"""The budget of false alarms: one number a year, split over everything that can raise an alarm."""

from statistics import NormalDist

CHECKED_DAYS = 366  # runs in a year that see new data, at most; a second run of a day sees the same data
DETECTORS = ("sources", "drift", "outcomes", "plays")


def yearly_budget(false_alarms_per_year: float) -> float:
    """The share of the yearly budget that each detector may spend.

    >>> yearly_budget(0.05)
    0.0125
    """
    return false_alarms_per_year / len(DETECTORS)


def level_of_test(false_alarms_per_year: float, tests: int) -> float:
    """The level of each of so many tests of a run, for a detector that tests on every day of a year."""
    return yearly_budget(false_alarms_per_year) / (CHECKED_DAYS * max(tests, 1))


def critical_value(level: float) -> float:
    """The value that a standard normal variable exceeds with this probability.

    >>> round(critical_value(0.025), 2)
    1.96
    """
    return -NormalDist().inv_cdf(level)
