"""What is wrong with a source: its volume, its freshness, a column, or the words of a column."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from features.publishing.source_weeks import SourceProfile, SourceWeek
from features.tables.contract import QUIET_TABLES
from monitoring.evidence.budget import level_of_run, yearly_budget
from monitoring.sources.columns import find_column_faults
from monitoring.sources.duplicates import find_duplicates
from monitoring.sources.freshness import find_silence
from monitoring.sources.late_rows import LATE, find_late_rows
from monitoring.sources.volume import VolumeBreak, find_account_break, find_row_break
from monitoring.sources.words import find_word_faults
from monitoring.verdicts.verdict import SourceFault

TESTS = 8  # of a table: fewer and more rows of a week and month, fewer and more accounts, duplicates, and freshness


@dataclass(frozen=True)
class Alarms:
    """How likely a false alarm of a table may be: of a test in a run, and of its freshness in a year."""

    level: float
    per_year: float


def find_source_faults(
    profile: SourceProfile, as_of: datetime, false_alarms_per_year: float
) -> tuple[SourceFault, ...]:
    """What is wrong with the sources, by table and column; the tables without any row come first."""
    judged = [table for table in profile if table not in QUIET_TABLES]
    tests = max(1, TESTS * len(judged) + sum(map(_count_comparisons, profile.values())))
    alarms = Alarms(level_of_run(false_alarms_per_year, days=1) / tests, yearly_budget(false_alarms_per_year) / tests)
    empty = [table for table in judged if not any(week.rows for week in profile[table])]
    faults = (fault for table, weeks in profile.items() for fault in _find_faults(table, weeks, as_of, alarms=alarms))
    return (*(SourceFault(table, as_of, f"{table}: no row since the first day") for table in empty), *faults)


def _count_comparisons(weeks: Sequence[SourceWeek]) -> int:
    """How many comparisons of empty cells, of words and of late rows the weeks of a table are for."""
    parts = ((week.nulls, *week.empty_after.values(), *week.words.values()) for week in weeks)
    late = len(LATE) * any(week.recorded for week in weeks)
    return max((sum(map(len, columns)) for columns in parts), default=0) + late


def _find_faults(table: str, weeks: Sequence[SourceWeek], as_of: datetime, *, alarms: Alarms) -> Iterator[SourceFault]:
    """The faults of one table: of its rows, or else of its accounts, and of its columns."""
    count = None if table in QUIET_TABLES else _count_fault(table, weeks, as_of, alarms=alarms)
    if count:
        yield count
    for fault in (*find_column_faults(weeks, alarms.level), *find_word_faults(weeks, alarms.level)):
        since = as_of - timedelta(weeks=fault.since + 1)
        yield SourceFault(table, since, f"{table}.{fault.column}: {fault.text}", fault.column)


def _count_fault(table: str, weeks: Sequence[SourceWeek], as_of: datetime, *, alarms: Alarms) -> SourceFault | None:
    if rows := find_row_break(weeks, as_of, alarms.level):
        return _volume_fault(table, "rows", rows, as_of=as_of)
    if silence := find_silence(weeks, as_of, alarms.per_year):
        text = f"{table}: no row for {silence.days} days, for at most {silence.longest_before} before"
        return SourceFault(table, as_of - timedelta(days=silence.days), text)
    if twice := find_duplicates(weeks, alarms.level):
        text = f"{twice.rows:.1f} rows of an account at the same instant, at most {twice.most_before:.1f} before"
        return SourceFault(table, as_of - timedelta(weeks=twice.since + 1), f"{table}: {text}")
    if accounts := find_account_break(weeks, as_of, alarms.level):
        return _volume_fault(table, "accounts", accounts, as_of=as_of)
    if late := find_late_rows(weeks, alarms.level):
        share, highest = f"{late.share:.0%}", f"{late.most_before:.0%}"
        text = f"{share} of the rows of a week came over {late.days} days late, at most {highest} before"
        return SourceFault(table, as_of - timedelta(weeks=late.since + 1), f"{table}: {text}")
    return None


def _volume_fault(table: str, unit: str, broken: VolumeBreak, *, as_of: datetime) -> SourceFault:
    text = f"{table}: {broken.count:,} {unit} in the last {broken.period}, {broken.usual:,.0f} are usual"
    return SourceFault(table, as_of - timedelta(weeks=broken.since + 1), text)
