"""Recorded history: from when departures were written down at all.

Many sources keep only the accounts that are left when they are introduced. Before that day everyone seems to have
stayed, which a model would learn. The mapping may declare `observed_from`; otherwise the days before the first recorded
departure are left out if, by the later rate, several departures should have been among them.
"""

from datetime import datetime

import pandas as pd

MIN_EXPECTED = 3.0  # by chance alone none of so many happens in one of twenty data sets


def first_recorded_day(snapshots: pd.DataFrame, departures: pd.Series) -> datetime | None:
    """The first departure, if the snapshots before it are too many to be without one by chance; None if they are not.

    `snapshots` has an as_of per row, and `departures` are the instants at which any account left.
    """
    if departures.empty or snapshots.empty:
        return None
    first = departures.min()
    before, after = (snapshots.as_of < first).sum(), (snapshots.as_of >= first).sum()
    later = ((departures > first) & (departures <= snapshots.as_of.max())).sum()
    is_silent = after > 0 and before * later / after >= MIN_EXPECTED
    return first.to_pydatetime() if is_silent else None
