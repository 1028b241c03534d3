"""The success vector of an account: for each family how much it raises the risk, which way that moves, and how fast."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from markupsafe import Markup

from configs.clock import parse_instant
from features.signals.base import family_label
from serving.pages.charts.arrows import Arrow, draw_arrows
from serving.schemas.responses import AccountChange, Score

STILL = 0.0005  # what moves by less is shown as 0.0 points
DAYS_A_WEEK, SECONDS_A_DAY = 7, 86_400
DIRECTIONS = ("better", "still", "worse")


class FamilyVector(NamedTuple):
    """A family's level in points of risk, how far it moved since the earlier day, and per week; None if not known."""

    family: str
    level: float
    moved: float | None
    per_week: float | None

    @property
    def direction(self) -> str:
        """Better if it raises the risk less than before."""
        if self.moved is None:
            return "not known"
        return DIRECTIONS[1 + (self.moved > STILL) - (self.moved < -STILL)]


def find_vectors(score: Score | None, change: AccountChange | None) -> list[FamilyVector]:
    """The vector of each family, the one that raises the risk most first; of a change of zero days only the level."""
    if score is None:
        return []
    drivers = [*score["drivers"], *score["protective_drivers"]]
    weeks = _weeks(change) if change else 0.0
    moved = {part["family"]: part["points"] for part in change["families"]} if change and weeks else {}
    levels = {driver["family"]: driver["points"] for driver in drivers}
    return [
        FamilyVector(family, level, moved.get(family), moved[family] / weeks if family in moved else None)
        for family, level in sorted(levels.items(), key=lambda item: -item[1])
    ]


def draw_vectors(vectors: Sequence[FamilyVector]) -> Markup:
    """The picture: an arrow from where each family was to where it is."""
    arrows = [
        Arrow(family_label(vector.family), None if vector.moved is None else vector.level - vector.moved, vector.level)
        for vector in vectors
    ]
    return draw_arrows(arrows, "Each family's level and move; the table below has the numbers.", ENDS)


ENDS = ("\u2190 lowers the risk", "raises the risk \u2192")


def vectors_document(vectors: Sequence[FamilyVector]) -> list[Mapping[str, object]]:
    """The vectors as JSON, in percentage points rounded as on the page."""
    return [
        {
            "family": vector.family,
            "level": round(vector.level * 100, 1),
            "direction": vector.direction,
            "moved": None if vector.moved is None else round(vector.moved * 100, 1),
            "per_week": None if vector.per_week is None else round(vector.per_week * 100, 1),
        }
        for vector in vectors
    ]


def _weeks(change: AccountChange) -> float:
    first, last = (parse_instant(change[end]["as_of"]) for end in ("before", "after"))
    return (last - first).total_seconds() / SECONDS_A_DAY / DAYS_A_WEEK
