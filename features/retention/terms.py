"""When the paid term of a subscription ends next: at the end that its source names, or whole terms before or after it.

Some sources write a row per term, others move the end of one row at every renewal. Counting whole terms from the end
gives the same days of both. What would make the first term of a row shorter than it is by over a month is not counted:
then the row was paid for longer than a term.
"""

import numpy as np

DAY, MONTH = "datetime64[D]", "datetime64[M]"
SHORTER_BY = np.timedelta64(31, "D")
NEVER = np.datetime64("NaT", "s")


def next_term_ends(ends: np.ndarray, started: np.ndarray, months: np.ndarray, instants: np.ndarray) -> np.ndarray:
    """The first end of a term after each instant, for rows of at least one month; NaT without an end or a length.

    >>> ends, started = np.array(["2026-03-31T12"] * 2, "M8[s]"), np.array(["2022-03-31"] * 2, "M8[s]")
    >>> next_term_ends(ends, started, np.array([12, 6]), np.array(["2025-01-01"] * 2, "M8[s]")).astype("M8[D]")
    array(['2025-03-31', '2025-03-31'], dtype='datetime64[D]')
    """
    is_known = ~(np.isnat(ends) | np.isnan(months.astype(float)))
    next_ends = np.full(len(ends), NEVER)
    ends, started, instants = ends[is_known], started[is_known], instants[is_known]
    steps = np.maximum(np.rint(months[is_known].astype(float)), 1).astype(np.int64)
    terms = -((ends.astype(MONTH) - instants.astype(MONTH)).astype(np.int64) // steps) - 1
    first = _shift_months(started, steps) - SHORTER_BY
    nearest = np.full(len(ends), NEVER)
    for extra in range(3):  # ends within the month of the instant may be before or after it
        shifted = _shift_months(ends, (terms + extra) * steps)
        is_end = (shifted > instants) & ((shifted >= first) | (terms + extra >= 0))
        nearest = np.where(np.isnat(nearest) & is_end, shifted, nearest)
    # a row that was paid for longer than its terms has no earlier end than the one its source names
    next_ends[is_known] = np.where(np.isnat(nearest) & (ends > instants), ends, nearest)
    return next_ends


def _shift_months(instants: np.ndarray, months: np.ndarray) -> np.ndarray:
    """The same day and time so many months later, or the last day of that month."""
    days = instants.astype(DAY)
    month = instants.astype(MONTH) + months
    last = (month + 1).astype(DAY) - np.timedelta64(1, "D")
    shifted = np.minimum(month.astype(DAY) + (days - instants.astype(MONTH).astype(DAY)), last)
    return shifted.astype("datetime64[s]") + (instants - days)
