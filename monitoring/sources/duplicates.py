"""Duplicates: rows that come more than once, which show at once in how many an account has at the same instant."""

from collections.abc import Sequence
from dataclasses import dataclass

from features.publishing.source_weeks import SourceWeek
from monitoring.sources.rhythm import MIN_ROWS, REMEMBERED_WEEKS, WeekShare, chance_of_more, follow_weeks

# Times the most rows of an instant in the past: twice as many if each row comes twice, fewer if events are added.
MORE = 1.5


@dataclass(frozen=True)
class Duplicates:
    """Since how many weeks (0: the newest) accounts have more rows at an instant than ever, and how many on average."""

    since: int
    rows: float
    most_before: float


def find_duplicates(weeks: Sequence[SourceWeek], level: float) -> Duplicates | None:
    """Whether the accounts have more rows at the same instant than ever before, by far and beyond chance."""
    repeats = [(at, WeekShare(week.rows - week.instants, week.rows)) for at, week in enumerate(weeks)]
    full = [(at, share) for at, share in repeats if share.total >= MIN_ROWS]
    since, past = follow_weeks(full, lambda now, past: _is_more(now, past, level))
    if since is None:
        return None
    most_before = max(_rows_of_instant(before) for before in past[-REMEMBERED_WEEKS:])
    return Duplicates(since, _rows_of_instant(full[0][1]), most_before)


def _is_more(now: WeekShare, past: Sequence[WeekShare], level: float) -> bool:
    most_before = max(_rows_of_instant(before) for before in past)
    return _rows_of_instant(now) > MORE * most_before and chance_of_more(now, past) < level


def _rows_of_instant(repeats: WeekShare) -> float:
    return repeats.total / (repeats.total - repeats.count)
