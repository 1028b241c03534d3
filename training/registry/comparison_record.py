"""The record of a comparison between two versions, as the registry stores it and as the commands print it."""

from collections.abc import Mapping, Sequence
from typing import Literal, TypedDict

Verdict = Literal["superior", "identical", "non_inferior", "inferior", "not_comparable"]
VERDICT_SENTENCES: Mapping[Verdict, str] = {
    "superior": "its log loss is significantly lower",
    "identical": "no past day can tell the two apart",
    "non_inferior": "it is not worse by more than the allowed margins",
    "inferior": "it is worse, or may be worse by more than the allowed margins",
    "not_comparable": "the two versions cannot be compared",
}


class IntervalRecord(TypedDict):
    """A figure with the bounds of its interval."""

    value: float
    low: float
    high: float


class PairedMetricRecord(TypedDict):
    """A metric of both versions, and the challenger's less the champion's."""

    challenger: float
    champion: float
    difference: IntervalRecord


class SegmentRecord(TypedDict):
    """The log loss of both versions within one segment; not `tested` if too few accounts churned."""

    snapshots: int
    churned: int
    tested: bool
    log_loss: PairedMetricRecord


class FlipsRecord(TypedDict):
    """The riskiest accounts of a day, and how many of them get another main family."""

    as_of: str
    accounts: int
    flipped: int


class ComparisonRecord(TypedDict):
    """The full comparison of a challenger with a champion, both by number; without metrics if not comparable."""

    challenger: int
    champion: int
    margins: Mapping[str, float]
    verdict: Verdict
    reasons: Sequence[str]
    snapshots: int
    churned: int
    metrics: Mapping[str, PairedMetricRecord] | None
    segments: Mapping[str, SegmentRecord] | None
    explanation_flips: FlipsRecord | None


class LastComparison(TypedDict):
    """The verdict of a version's last comparison, with the reason in one clause."""

    compared_with: int
    verdict: Verdict
    reason: str
