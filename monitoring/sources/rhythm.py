"""The rhythm of weeks: since when the newest one is unlike the earlier ones.

Weeks are read from the oldest on, and one that breaks the rhythm does not become part of it: so a break stays named
until it is mended, however long it lasts.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeVar

from scipy.special import bdtrc

FEWEST_WEEKS, REMEMBERED_WEEKS = 8, 52
MIN_ROWS = 10  # in a week, for a share that means something
Value = TypeVar("Value")


@dataclass(frozen=True)
class WeekShare:
    """How many rows, or accounts, of a week have a property, and how many there are.

    >>> WeekShare(1, 4).share
    0.25
    """

    count: int
    total: int

    @property
    def share(self) -> float:
        """The share that has the property."""
        return self.count / self.total


def follow_weeks(
    newest_first: Sequence[tuple[int, Value]], breaks: Callable[[Value, Sequence[Value]], bool]
) -> tuple[int | None, list[Value]]:
    """Since which week the rhythm of the earlier ones is broken, and the values in rhythm, the oldest first."""
    in_rhythm: list[Value] = []
    since: int | None = None
    for week, value in reversed(newest_first):
        if len(in_rhythm) >= FEWEST_WEEKS and breaks(value, in_rhythm[-REMEMBERED_WEEKS:]):
            since = week if since is None else since
        else:
            in_rhythm.append(value)
            since = None
    return since, in_rhythm


def chance_of_more(now: WeekShare, past: Sequence[WeekShare]) -> float:
    """How likely at least so many are, if each of them has the property as often as those of the past."""
    usual = (sum(before.count for before in past) + 1) / (sum(before.total for before in past) + 2)
    return float(bdtrc(now.count - 1, now.total, usual))
