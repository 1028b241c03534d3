"""Late rows: those that come only after their week, in a larger share than ever before.

Signals of the newest day miss them. A week later it is known how many there were, so only tables with `recorded_at` are
compared, and the newest week is not.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from features.publishing.source_weeks import SourceWeek
from monitoring.sources.rhythm import MIN_ROWS, REMEMBERED_WEEKS, WeekShare, chance_of_more, follow_weeks

# Above the largest share of the past. Rows of one day of seven that come a day late are no fault.
MORE_LATE = 0.2


@dataclass(frozen=True)
class LateRows:
    """Since how many weeks (0: the newest) more rows than ever come late, and their share."""

    since: int
    share: float
    most_before: float


def find_late_rows(weeks: Sequence[SourceWeek], level: float) -> LateRows | None:
    """Whether more rows come in the week after theirs than ever before, by far and beyond chance at this level."""
    shares = [(number, WeekShare(week.late, week.rows + week.late)) for number, week in enumerate(weeks) if number]
    enough = [(number, share) for number, share in shares if share.total >= MIN_ROWS]
    since, past = follow_weeks(enough, lambda now, past: _is_later(now, past, level))
    if since is None:
        return None
    return LateRows(since, enough[0][1].share, max(before.share for before in past[-REMEMBERED_WEEKS:]))


def _is_later(now: WeekShare, past: Sequence[WeekShare], level: float) -> bool:
    highest = max(before.share for before in past)
    return now.share > highest + MORE_LATE and chance_of_more(now, past) < level
