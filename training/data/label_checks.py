"""Lint: labels that would teach a model something else than who will leave, refused by rule and number of rows."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime

import pandas as pd

from configs.errors import LabelsRefused
from configs.settings import LabelSettings
from features.signals.base import Signal
from training.data.time_splits import Days, Split
from training.data.training_set import CHURNED
from training.labels.build import LabelContext, is_locked_in
from training.labels.departures import is_mature, matures_at


@dataclass(frozen=True)
class Lesson:
    """What a model is about to learn from: snapshots with answers and facts, how they are split, and the signals."""

    rows: pd.DataFrame
    facts: LabelContext
    split: Split
    signals: tuple[Signal, ...]


@dataclass(frozen=True)
class Fault:
    """A rule that some rows break."""

    rule: str
    rows: int
    hint: str

    def __str__(self) -> str:
        return f"{self.rule} ({self.rows} row{'s' if self.rows > 1 else ''})"


def lint(lesson: Lesson, label: LabelSettings, known_until: datetime) -> tuple[Fault, ...]:
    """Every rule that the lesson breaks; empty where it teaches what it should."""
    found = (
        *_days_apart(lesson),
        *_immature(lesson, label, known_until),
        *_not_at_risk(lesson, label),
        *_after_notice(lesson, label),
        *_overlapping(lesson, label),
    )
    return tuple(one for one in found if one.rows)


def refuse_labels(faults: tuple[Fault, ...]) -> None:
    """Raise LabelsRefused where there is a fault, naming every one."""
    if faults:
        raise LabelsRefused(f"The labels are refused: {'; '.join(map(str, faults))}.", faults[0].hint)


def _days_apart(lesson: Lesson) -> Iterator[Fault]:
    """Churners seen on days of their own, such as their churn date, differ from the others by the day alone."""
    churned = lesson.rows[lesson.rows[CHURNED] == 1]
    with_others = churned.as_of.isin(lesson.rows.as_of[lesson.rows[CHURNED] == 0])
    alone = int((~with_others).sum())
    if 2 * alone > len(churned):
        yield Fault(
            "most who churned were seen on days on which nobody was seen who stayed",
            alone,
            "Take everyone's snapshots on the same days.",
        )


def _immature(lesson: Lesson, label: LabelSettings, known_until: datetime) -> Iterator[Fault]:
    early = ~is_mature(lesson.rows, label, known_until) & lesson.rows[CHURNED].notna()
    yield Fault("immature snapshots have an answer", int(early.sum()), "Leave out days whose answer is not known yet.")


def _not_at_risk(lesson: Lesson, label: LabelSettings) -> Iterator[Fault]:
    if label.locked_in_accounts == "exclude":
        yield Fault(
            "accounts whose contract cannot end inside the horizon have an answer",
            int(is_locked_in(lesson.rows, lesson.facts, label).sum()),
            'Leave them out, or set label.locked_in_accounts = "keep".',
        )


def _after_notice(lesson: Lesson, label: LabelSettings) -> Iterator[Fault]:
    if label.mode != "event":
        return
    told = int(lesson.facts.notice_until.notna().sum())
    yield Fault("snapshots were seen after the account had given notice", told, "Leave them out.")
    knowing = [one.name for one in lesson.signals if "notices" in one.inputs]
    if knowing:
        rule = f"signals hold what a notice says, which is the answer: {', '.join(knowing)}"
        yield Fault(rule, len(lesson.rows), "Leave the table `notices` to the label.")


def _overlapping(lesson: Lesson, label: LabelSettings) -> Iterator[Fault]:
    split = lesson.split
    pairs = [(split.early, split.calibration, label), (split.known, split.test, label)]
    for one in split.longer:
        longer = label.model_copy(update={"horizon_days": one.horizon_days})
        pairs += [(one.early, one.calibration, label), (one.calibration, split.test, longer)]
    for learned, judged, answer in pairs:
        open_days: Days = tuple(day for day in learned if matures_at(day, answer) > judged[0])
        rows = int(lesson.rows.as_of.isin(open_days).sum())
        yield Fault(
            f"the answers of snapshots learned from were still open on {judged[0]:%Y-%m-%d}, when others are judged",
            rows,
            "Keep lead + horizon + grace between the groups of a split.",
        )
