"""Broken sources: the tables that the quality gate named when the newest day was published all the same.

Only a day that somebody forced has them, so naming them is no false alarm. Each is named until a day is published
without it.
"""

from datetime import datetime

from features.store.history import HistoryVersion, complete_days, read_day
from features.tables.contract import CONTRACT
from monitoring.verdicts.verdict import SourceFault


def find_broken_sources(history: HistoryVersion, as_of: datetime) -> tuple[SourceFault, ...]:
    """The tables that were at fault on a published day, each since the first such day before it without a break."""
    newest = read_day(history, as_of)
    reason = f"; published because: {newest.forced_because}"
    return tuple(
        SourceFault(table, _broken_since(history, as_of, table), f"{fault}{reason}")
        for fault in newest.faults
        if (table := fault.partition(":")[0]) in CONTRACT
    )


def _broken_since(history: HistoryVersion, as_of: datetime, table: str) -> datetime:
    since = as_of
    for day in reversed(complete_days(history)):
        if day < as_of:
            if not any(fault.startswith(f"{table}:") for fault in read_day(history, day).faults):
                break
            since = day
    return since
