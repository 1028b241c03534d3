"""Calendar months as a horizon: from a day to the same day of a later month, or to that month's last day."""

from calendar import monthrange
from collections.abc import Iterator, Mapping
from itertools import product

MONTHS_PER_YEAR = 12
DAYS_PER_YEAR = 365.25
LEAP_CYCLE = range(2000, 2004)
MONTH_DAYS = tuple(monthrange(year, month)[1] for year, month in product(LEAP_CYCLE, range(1, MONTHS_PER_YEAR + 1)))


def mean_days(months: int) -> int:
    """So many months of mean length, in days.

    >>> [mean_days(months) for months in (1, 2, 3, 6, 12)]
    [30, 61, 91, 183, 365]
    """
    return round(months * DAYS_PER_YEAR / MONTHS_PER_YEAR)


def count_months(days: int) -> int:
    """The months that have so many days on average.

    >>> [count_months(mean_days(months)) for months in (1, 2, 3, 36)]
    [1, 2, 3, 36]
    """
    return round(days * MONTHS_PER_YEAR / DAYS_PER_YEAR)


def longest_days(months: int) -> int:
    """The most days that so many months have.

    >>> [longest_days(months) for months in (1, 3, 12)]
    [31, 92, 366]
    """
    return max(_spans(months))


def shortest_days(months: int) -> int:
    """The fewest days that so many months have.

    >>> [shortest_days(months) for months in (1, 3, 12)]
    [28, 89, 365]
    """
    return min(_spans(months))


def main_horizon(label: Mapping[str, object]) -> str:
    """The main horizon of a label's description, in words.

    >>> main_horizon({"horizon_days": 90}), main_horizon({"horizon_days": 91, "horizon_months": 3})
    ('90 days', '3 months')
    """
    months = label.get("horizon_months")
    count, unit = (months, "month") if months else (label["horizon_days"], "day")
    return f"{count} {unit}" if count == 1 else f"{count} {unit}s"


def _spans(months: int) -> Iterator[int]:
    """The days of so many months in a row, from each month of a leap cycle on."""
    cycle = len(MONTH_DAYS)
    return (sum(MONTH_DAYS[(first + month) % cycle] for month in range(months)) for first in range(cycle))
