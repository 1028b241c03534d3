"""Duplicates: rows that come more than once, which the rows of each account show before the number of rows does."""

from collections.abc import Sequence
from dataclasses import dataclass

from features.publishing.source_weeks import SourceWeek
from monitoring.sources.rhythm import MIN_ROWS, REMEMBERED_WEEKS, RowShare, chance_of_more, follow_weeks

MORE = 1.25  # times the most rows of an account in the past; they are twice as many if each row comes twice


@dataclass(frozen=True)
class Duplicates:
    """Since how many weeks (0: the newest) an account has more rows than ever, how many it has, and had at most."""

    since: int
    rows_of_account: float
    most_before: float


def find_duplicates(weeks: Sequence[SourceWeek], level: float) -> Duplicates | None:
    """Whether the accounts of the newest week have more rows than ever before, by far and beyond chance."""
    repeats = [(at, RowShare(week.rows - week.accounts, week.rows)) for at, week in enumerate(weeks)]
    full = [(at, share) for at, share in repeats if share.total >= MIN_ROWS]
    since, past = follow_weeks(full, lambda now, past: _is_more(now, past, level))
    if since is None:
        return None
    most_before = max(_rows_of_account(before) for before in past[-REMEMBERED_WEEKS:])
    return Duplicates(since, _rows_of_account(full[0][1]), most_before)


def _is_more(now: RowShare, past: Sequence[RowShare], level: float) -> bool:
    most_before = max(_rows_of_account(before) for before in past)
    return _rows_of_account(now) > MORE * most_before and chance_of_more(now, past) < level


def _rows_of_account(repeats: RowShare) -> float:
    return repeats.total / (repeats.total - repeats.rows)
