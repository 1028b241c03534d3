"""The success vector: each family's level, its direction and its speed in points a week."""

import re
from typing import cast

import pytest

from serving.pages.account.success_vector import draw_vectors, find_vectors, vectors_document
from serving.schemas.responses import AccountChange, Score

SCORE = cast(
    Score,
    {
        "drivers": [{"family": "support", "points": 0.04}],
        "protective_drivers": [{"family": "adoption", "points": -0.02}, {"family": "value", "points": -0.03}],
    },
)


def change(days: int, **moved: float) -> AccountChange:
    families = [{"family": family, "points": points, "signals": []} for family, points in moved.items()]
    ends = {"before": {"as_of": "2026-06-01T00:00:00Z"}, "after": {"as_of": f"2026-06-{days + 1:02}T00:00:00Z"}}
    return cast(AccountChange, {**ends, "families": families})


def test_a_family_has_a_level_a_direction_and_a_speed():
    vectors = find_vectors(SCORE, change(14, support=0.03, adoption=-0.01, value=0.0001))
    assert [(vector.family, vector.direction) for vector in vectors] == [
        ("support", "worse"), ("adoption", "better"), ("value", "still"),
    ]  # fmt: skip
    assert vectors[0].per_week == pytest.approx(0.015)


@pytest.mark.parametrize("compared", [None, change(0, support=0.03)])
def test_without_an_earlier_day_only_the_level_is_known(compared):
    vectors = find_vectors(SCORE, compared)
    assert {vector.direction for vector in vectors} == {"not known"}
    assert vectors_document(vectors)[0] == {
        "family": "support", "level": 4.0, "direction": "not known", "moved": None, "per_week": None,
    }  # fmt: skip


def test_the_picture_has_an_arrow_for_each_family_that_moved():
    picture = draw_vectors(find_vectors(SCORE, change(7, support=0.03, adoption=-0.01, value=0.0)))
    assert (picture.count("<polygon"), len(re.findall(r'<circle class="lower"', picture))) == (2, 1)
    assert draw_vectors([]) == ""
