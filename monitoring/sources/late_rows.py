"""Late rows: those that are recorded more than three days after they happened, in a larger share than ever before.

Signals of the newest day miss them. Rows of the newest week may still come, so a week is compared when it is 7 days
old, by the rows recorded within 7 days; when it is 14, by those of the second week; and when it is 28. Rows that come
later, such as a bulk import of old ones, and rows without a `recorded_at` do not count.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from features.publishing.source_weeks import RECORDED_WITHIN, WEEK_DAYS, SourceWeek
from monitoring.sources.rhythm import MIN_ROWS, REMEMBERED_WEEKS, WeekShare, chance_of_more, follow_weeks

# Above the largest share of the past.
MORE_LATE = 0.2
LATE = tuple(pairwise(RECORDED_WITHIN))  # recorded more than so many days after a row happened, and within so many


@dataclass(frozen=True)
class LateRows:
    """Since how many weeks (0: the newest) more rows than ever are later than `days`, and their share."""

    since: int
    days: int
    share: float
    most_before: float


def find_late_rows(weeks: Sequence[SourceWeek], level: float) -> LateRows | None:
    """Whether more rows are late than ever before, by far and beyond chance at this level."""
    return next((late for bounds in LATE if (late := _find_between(weeks, *bounds, level=level))), None)


def _find_between(weeks: Sequence[SourceWeek], after: int, within: int, *, level: float) -> LateRows | None:
    """Whether more rows than ever came after so many days and within so many."""
    old = [(at, week.recorded) for at, week in enumerate(weeks) if at * WEEK_DAYS >= within and week.recorded]
    shares = [(at, WeekShare(rows[within] - rows[after], rows[within])) for at, rows in old]
    enough = [(at, share) for at, share in shares if share.total >= MIN_ROWS]
    since, past = follow_weeks(enough, lambda now, past: _is_later(now, past, level))
    if since is None:
        return None
    return LateRows(since, after, enough[0][1].share, max(before.share for before in past[-REMEMBERED_WEEKS:]))


def _is_later(now: WeekShare, past: Sequence[WeekShare], level: float) -> bool:
    highest = max(before.share for before in past)
    return now.share > highest + MORE_LATE and chance_of_more(now, past) < level
