"""The weeks of the sources before a published day, as they are stored. They hold counts, medians and kinds of rows."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from datetime import datetime

from configs.files import write_json
from configs.state_dir import StateDir
from configs.stored_files import read_stored
from features.store.publication import REPUBLISH


@dataclass(frozen=True)
class SourceWeek:
    """One week of a table: its rows, their accounts, the empty cells and the median of its columns.

    `instants` counts the rows of an account at the same instant as one row. `by_day` are the rows of its seven days,
    the newest day first. `empty_after` are the cells of the columns that are filled in later which were still empty so
    many days after their row, by days and column; they count from weeks that are so old. `words` are the accounts of
    each word of a column that tells kinds of rows apart, without words of fewer than `MIN_WORD_ACCOUNTS`. `recorded`
    are the rows of the week that were recorded within so many days after they happened, by days, also after the week
    ended; rows without a `recorded_at` are left out of it.
    """

    rows: int
    accounts: int
    instants: int
    nulls: Mapping[str, int]
    medians: Mapping[str, float | None]
    by_day: tuple[int, ...]
    empty_after: Mapping[int, Mapping[str, int]]
    words: Mapping[str, Mapping[str, int]] = field(default_factory=dict)
    recorded: Mapping[int, int] = field(default_factory=dict)


WEEK_DAYS = 7
RECORDED_WITHIN = (3, 7, 14, 28)  # days; the first is in time
MIN_WORD_ACCOUNTS = 5
NO_ROWS = SourceWeek(0, 0, 0, {}, {}, (0,) * WEEK_DAYS, {})
SourceProfile = Mapping[str, tuple[SourceWeek, ...]]  # by table, the newest week first


def write_profile(state: StateDir, as_of: datetime, profile: SourceProfile) -> None:
    """Store the profile of a published day."""
    content = {table: [asdict(week) for week in weeks] for table, weeks in profile.items()}
    write_json(state.source_profile(as_of), content)


def read_profile(state: StateDir, as_of: datetime) -> SourceProfile | None:
    """The stored profile of a published day; None if it was published without one, DamagedState if it is damaged."""
    file = state.source_profile(as_of)
    return read_stored(file, dict[str, tuple[SourceWeek, ...]], REPUBLISH) if file.exists() else None
