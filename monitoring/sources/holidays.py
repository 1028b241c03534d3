"""The turn of a year: the days on which a source may hold much less than usual."""

from datetime import datetime

HOLIDAYS_BEGIN, HOLIDAYS_END = (12, 20), (1, 12)


def is_holiday(day: datetime) -> bool:
    """Whether a day lies at the turn of a year.

    >>> is_holiday(datetime(2024, 12, 24)), is_holiday(datetime(2024, 7, 4))
    (True, False)
    """
    return (day.month, day.day) >= HOLIDAYS_BEGIN or (day.month, day.day) <= HOLIDAYS_END
