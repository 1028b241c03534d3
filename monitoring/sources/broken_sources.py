"""Broken sources: what the quality gate named when the newest day was published all the same, and broken rhythms.

A fault of the gate is named until a day is published without it.
"""

from collections.abc import Iterator
from datetime import datetime

from configs.state_dir import StateDir
from features.publishing.source_weeks import read_profile
from features.store.history import HistoryFolder, complete_days, read_day
from features.tables.contract import CONTRACT
from monitoring.sources.source_faults import find_source_faults
from monitoring.verdicts.verdict import SourceFault


def find_broken_sources(
    history: HistoryFolder, state: StateDir, as_of: datetime, false_alarms_per_year: float
) -> tuple[SourceFault, ...]:
    """The faults of the sources of a published day; a table that the gate named is named once."""
    forced = tuple(_find_forced_faults(history, as_of))
    named = {fault.table for fault in forced}
    profile = read_profile(state, as_of) or {}
    faults = find_source_faults(profile, as_of, false_alarms_per_year)
    return (*forced, *(fault for fault in faults if fault.table not in named))


def _find_forced_faults(history: HistoryFolder, as_of: datetime) -> Iterator[SourceFault]:
    """The tables that were at fault on a published day, each since the first such day before it without a break."""
    newest = read_day(history, as_of)
    for fault in newest.faults:
        if (table := fault.partition(":")[0]) in CONTRACT:
            text = f"{fault}; published because: {newest.forced_because}"
            yield SourceFault(table, _broken_since(history, as_of, table), text)


def _broken_since(history: HistoryFolder, as_of: datetime, table: str) -> datetime:
    since = as_of
    for day in reversed(complete_days(history)):
        if day < as_of:
            if not any(fault.startswith(f"{table}:") for fault in read_day(history, day).faults):
                break
            since = day
    return since
