"""Duel: whether a challenger's risks may take the place of the champion's, judged on the very same snapshots.

A challenger must be shown to be no worse, and the burden is on it: the whole paired interval of what it loses must lie
within a margin (Schuirmann, 1987; as every question must be passed, none needs a correction for many questions: Berger,
1982). It wins where its log loss is smaller for sure.
"""

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any, Literal

import numpy as np
import pandas as pd

from configs.settings import ComparisonSettings, EvaluationSettings
from training.evaluation import metrics
from training.evaluation.paired_difference import Bout, Compared, _figures, compare
from training.evaluation.scorecard import Interval, rate_interval

Verdict = Literal["wins", "not worse", "loses", "cannot be compared"]
NOBODY = ""


@dataclass(frozen=True)
class Flips:
    """The accounts worth a call on a day, and how many of them would be explained by another main family."""

    as_of: str
    accounts: int
    flipped: int

    @property
    def share(self) -> Interval:
        return rate_interval(self.flipped, self.accounts)


@dataclass(frozen=True)
class Part:
    """The log loss of both within one segment; not `judged` where too few churned to tell."""

    snapshots: int
    churned: int
    judged: bool
    log_loss: Compared


@dataclass(frozen=True)
class Duel:
    """A verdict with its reasons in sentences, and the figures that it rests on."""

    verdict: Verdict
    reasons: tuple[str, ...]
    snapshots: int = 0
    churned: int = 0
    figures: dict[str, Compared] | None = None
    segments: dict[str, Part] | None = None
    flips: Flips | None = None

    def document(self) -> dict[str, Any]:
        """The duel as JSON keeps it."""
        return asdict(self)


def fight(bout: Bout, flips: Flips | None, evaluation: EvaluationSettings, margins: ComparisonSettings) -> Duel:
    """The duel over these snapshots; `flips` None where no day's explanations could be compared."""
    figures, segments = compare(bout, evaluation), _by_segment(bout, evaluation, margins)
    faults = (
        *_loses_truth(figures["log_loss"], margins.log_loss_margin),
        *_loses_calibration(figures["calibration_error"], margins.calibration_margin),
        *(
            fault
            for name, one in segments.items()
            for fault in _loses_segment(name, one, margins.segment_log_loss_margin)
        ),
        *_flips_too_much(flips, margins.max_flip_share),
    )
    wins = figures["log_loss"].difference.high < 0
    verdict: Verdict = "loses" if faults else "wins" if wins else "not worse"
    reasons = faults or (_what_it_gains(figures, wins),)
    of = bout.cases
    return Duel(verdict, reasons, len(of.churned), int(of.churned.sum()), figures, segments, flips)


def incomparable(why: str) -> Duel:
    """The verdict on two models that no snapshot can tell apart, and why."""
    return Duel("cannot be compared", (why,))


def main_families(shares: np.ndarray, families: list[str]) -> list[str]:
    """The family that raises each row's margin most, from the shares of its signals; nobody's where none raises it."""
    names = list(dict.fromkeys(families))
    belongs = np.array([[family == name for name in names] for family in families], dtype="float64")
    raised = shares @ belongs
    return [names[best] if row[best] > 0 else NOBODY for row, best in zip(raised, raised.argmax(axis=1), strict=True)]


def _by_segment(bout: Bout, evaluation: EvaluationSettings, margins: ComparisonSettings) -> dict[str, Part]:
    """The log loss within each segment."""
    segments, of = bout.segments, bout.cases
    if segments is None:
        return {}
    found = {}
    for segment in sorted({str(one) for one in segments[pd.notna(segments)]}):
        mine = segments == segment
        part = Bout(of.part(mine), bout.challenger[mine], bout.champion[mine])
        churned = int(part.cases.churned.sum())
        compared = _figures(part, {"log_loss": metrics.log_loss}, evaluation)["log_loss"]
        found[segment] = Part(int(mine.sum()), churned, churned >= margins.min_churned, compared)
    return found


def _loses_truth(one: Compared, share: float) -> Iterator[str]:
    margin = share * one.champion
    if one.difference.low > 0:
        yield f"its log loss is worse for sure, by {_span(one)}"
    elif one.difference.high > margin:
        yield f"its log loss may be worse by {one.difference.high:.4f}, and {margin:.4f} is the most allowed"


def _loses_calibration(one: Compared, margin: float) -> Iterator[str]:
    if one.difference.high > margin:
        most = f"{margin:.4f} is the most allowed"
        yield f"its risks may lie farther from the churn rate by {one.difference.high:.4f}, and {most}"


def _loses_segment(name: str, one: Part, share: float) -> Iterator[str]:
    margin = share * one.log_loss.champion
    if one.judged and one.log_loss.difference.high > margin:
        yield (
            f"in the segment '{name}' ({one.snapshots} snapshots, {one.churned} churned) its log loss may be worse by"
            f" {one.log_loss.difference.high:.4f}, and {margin:.4f} is the most allowed"
        )


def _flips_too_much(flips: Flips | None, budget: float) -> Iterator[str]:
    if flips and flips.share.value > budget:
        yield (
            f"{flips.flipped} of the {flips.accounts} accounts worth a call on {flips.as_of} would be explained by"
            f" another main family, and {budget:.0%} is the most allowed"
        )


def _what_it_gains(figures: dict[str, Compared], wins: bool) -> str:
    told = _span(figures["log_loss"])
    if wins:
        return f"its log loss is smaller for sure, by {told}"
    return f"its log loss differs by {told}, within the margin"


def _span(one: Compared) -> str:
    return f"{one.difference.value:+.4f} [{one.difference.low:+.4f}, {one.difference.high:+.4f}]"
