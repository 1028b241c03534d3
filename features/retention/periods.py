"""The instants at which recurring revenue is compared: the starts of months, and some months before a day."""

import calendar
from datetime import datetime

MONTHS_KEPT = 36
PERIODS = (3, 6, 12)
QUARTER_MONTHS = 3


def subtract_months(instant: datetime, months: int) -> datetime:
    """The same day of the month so many months before, or the last day of that month if it is shorter.

    >>> subtract_months(datetime(2026, 3, 31), 1)
    datetime.datetime(2026, 2, 28, 0, 0)
    """
    year, month = divmod(instant.year * 12 + instant.month - 1 - months, 12)
    return instant.replace(year=year, month=month + 1, day=min(instant.day, calendar.monthrange(year, month + 1)[1]))


def add_months(instant: datetime, months: int) -> datetime:
    """The same day of the month so many months later, or the last day of that month if it is shorter."""
    return subtract_months(instant, -months)


def quarters_before(as_of: datetime) -> list[datetime]:
    """The day, and the days a quarter, two and so on before it, oldest first."""
    return [subtract_months(as_of, months) for months in range(MONTHS_KEPT, -1, -QUARTER_MONTHS)]


def month_starts(as_of: datetime, months: int) -> list[datetime]:
    """The starts of the month of a day and of so many months before, oldest first."""
    this_month = as_of.replace(day=1, hour=0, minute=0, second=0, microsecond=0)
    return [subtract_months(this_month, back) for back in range(months, -1, -1)]


def months_before(as_of: datetime) -> list[datetime]:
    """The starts of the periods that end at `as_of`."""
    return [subtract_months(as_of, months) for months in PERIODS]
