"""Lint: each rule finds the fault planted for it, with its number of rows, and nothing in a clean lesson."""

from dataclasses import replace
from datetime import datetime

import pandas as pd
import pytest

from configs.errors import LabelsRefused
from configs.settings import LabelSettings
from features.signals.registry import catalogue
from training.data.label_checks import Lesson, lint, refuse_labels
from training.data.time_splits import Longer, Split
from training.labels.build import LabelContext

DAYS = [datetime(2023, month, 1) for month in (1, 4, 7)]
LABEL = LabelSettings(horizon_days=30, grace_days=10)
EVENT = LabelSettings(mode="event", horizon_days=30, grace_days=10)
KNOWN_UNTIL = datetime(2024, 1, 1)
SIGNAL = next(one for one in catalogue() if one.name == "events_28d")


@pytest.fixture
def lesson() -> Lesson:
    """Ten accounts on three days, of which two churn on each."""
    rows = pd.DataFrame({"account_id": [str(n) for n in range(10)] * 3, "as_of": [d for d in DAYS for _ in range(10)]})
    rows = rows.assign(churned=[1.0, 1.0, *[0.0] * 8] * 3).astype({"as_of": "datetime64[us]"})
    never = pd.Series(pd.NaT, rows.index, dtype="datetime64[us]")
    split = Split((DAYS[0],), (DAYS[1],), (DAYS[0], DAYS[1]), (DAYS[2],))
    return Lesson(rows, LabelContext(never, never, never), split, (SIGNAL,))


def faults(lesson: Lesson, label: LabelSettings = LABEL, known_until: datetime = KNOWN_UNTIL) -> list[str]:
    return [str(one) for one in lint(lesson, label, known_until)]


def test_a_clean_lesson_has_no_fault(lesson):
    assert faults(lesson) == []
    assert faults(lesson, EVENT) == []


def test_churners_seen_at_their_churn_date_are_refused(lesson):
    apart = lesson.rows.assign(as_of=lesson.rows.as_of.where(lesson.rows.churned == 0, pd.Timestamp("2023-05-05")))
    assert faults(replace(lesson, rows=apart)) == [
        "most who churned were seen on days on which nobody was seen who stayed (6 rows)"
    ]


def test_immature_answers_are_refused(lesson):
    assert faults(lesson, known_until=datetime(2023, 8, 1)) == ["immature snapshots have an answer (10 rows)"]


def test_accounts_that_cannot_leave_are_refused_where_they_are_no_negatives(lesson):
    locked = lesson.facts.locked_until.copy()
    locked[[3, 4]] = pd.Timestamp("2023-12-31")
    locked[5] = pd.Timestamp("2023-01-15")
    planted = replace(lesson, facts=replace(lesson.facts, locked_until=locked))
    strict = LABEL.model_copy(update={"locked_in_accounts": "exclude"})
    assert faults(planted, strict) == ["accounts whose contract cannot end inside the horizon have an answer (2 rows)"]
    assert faults(planted) == []


def test_snapshots_after_a_notice_are_refused(lesson):
    given = lesson.facts.notice_until.copy()
    given[7] = pd.Timestamp("2023-02-01")
    planted = replace(lesson, facts=replace(lesson.facts, notice_until=given))
    assert faults(planted, EVENT) == ["snapshots were seen after the account had given notice (1 row)"]


def test_signals_that_read_the_notices_are_refused_by_name(lesson):
    knowing = replace(SIGNAL, name="notices_given", inputs=("notices",))
    (fault,) = faults(replace(lesson, signals=(SIGNAL, knowing)), EVENT)
    assert fault == "signals hold what a notice says, which is the answer: notices_given (30 rows)"


def test_horizons_that_reach_into_the_days_judged_are_refused(lesson):
    longer = LABEL.model_copy(update={"horizon_days": 85})
    split = replace(lesson.split, early=(), known=(DAYS[1],), calibration=(DAYS[0],))
    (fault,) = faults(replace(lesson, split=split), longer)
    assert fault.startswith("the answers of snapshots learned from were still open on 2023-07-01")
    assert fault.endswith("(10 rows)")


def test_a_longer_horizon_that_reaches_into_the_days_judged_is_refused(lesson):
    longer = Longer(150, early=(), calibration=(DAYS[1],))
    (fault,) = faults(replace(lesson, split=replace(lesson.split, longer=(longer,))))
    assert fault.startswith("the answers of snapshots learned from were still open on 2023-07-01")
    assert faults(replace(lesson, split=replace(lesson.split, longer=(replace(longer, horizon_days=60),)))) == []


def test_a_refusal_names_every_rule(lesson):
    locked = replace(lesson, facts=replace(lesson.facts, notice_until=lesson.rows.as_of))
    with pytest.raises(LabelsRefused, match=r"immature .* \(10 rows\); snapshots were seen after .* \(30 rows\)"):
        refuse_labels(lint(locked, EVENT, datetime(2023, 8, 1)))
