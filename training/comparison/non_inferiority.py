"""Non-inferiority: whether a challenger's risks are good enough to replace the champion's, on the same snapshots.

The challenger has to show it: the whole paired interval of each loss must lie within a margin (Schuirmann, 1987). Every
criterion must be met, so none needs a correction for multiple testing (Berger, 1982). A challenger is superior if its
log loss is significantly lower. Two that give the same risks are identical: there is no difference to test.
"""

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import Any

import pandas as pd

from configs.sections.evaluation import ComparisonSettings, EvaluationSettings
from training.evaluation.metrics import log_loss
from training.evaluation.paired_difference import PairedMetric, PairedRisks, compare_metrics, compare_risks
from training.evaluation.scorecard import Interval, wilson_interval
from training.registry.comparison_record import Verdict

SAME_RECIPE = (
    "both are made with the same settings and signals from snapshots of the same days, so fitted again on the same past"
    " days they are one model; they differ only in the data they were fitted on"
)


@dataclass(frozen=True)
class ExplanationFlips:
    """The riskiest accounts of a day, and how many of them get another main family from the challenger."""

    as_of: str
    accounts: int
    flipped: int

    @property
    def share(self) -> Interval:
        return wilson_interval(self.flipped, self.accounts)


@dataclass(frozen=True)
class SegmentComparison:
    """The log loss of both within one segment; not `tested` if too few accounts churned."""

    snapshots: int
    churned: int
    tested: bool
    log_loss: PairedMetric


@dataclass(frozen=True)
class ComparisonResult:
    """A verdict, its reasons in sentences, and the metrics behind it."""

    verdict: Verdict
    reasons: tuple[str, ...]
    snapshots: int = 0
    churned: int = 0
    metrics: Mapping[str, PairedMetric] | None = None
    segments: Mapping[str, SegmentComparison] | None = None
    explanation_flips: ExplanationFlips | None = None

    def to_json(self) -> dict[str, Any]:
        """The result as a JSON object."""
        return asdict(self)


def assess_non_inferiority(
    risks: PairedRisks,
    flips: ExplanationFlips | None,
    *,
    evaluation: EvaluationSettings,
    margins: ComparisonSettings,
) -> ComparisonResult:
    """Compare the risks of both on these snapshots; `flips` is None if no day's explanations were compared."""
    if risks.are_identical:
        counts = f"{len(risks.data.churned):,} snapshots"
        return identical(f"both give each of the {counts} the same risk", flips, margins)
    metrics, segments = compare_risks(risks, evaluation), _compare_segments(risks, evaluation, margins)
    faults = (
        *_log_loss_faults(metrics["log_loss"], margins.log_loss_margin),
        *_calibration_faults(metrics["calibration_error"], margins.calibration_margin),
        *(fault for name in segments for fault in _segment_faults(name, segments[name], margins)),
        *_flip_faults(flips, margins.max_flip_share),
    )
    is_superior = metrics["log_loss"].difference.high < 0
    return ComparisonResult(
        verdict="inferior" if faults else "superior" if is_superior else "non_inferior",
        reasons=faults or (_describe_log_loss(metrics["log_loss"], is_superior),),
        snapshots=len(risks.data.churned),
        churned=int(risks.data.churned.sum()),
        metrics=metrics,
        segments=segments,
        explanation_flips=flips,
    )


def assess_same_recipe(
    risks: PairedRisks | None,
    flips: ExplanationFlips | None,
    *,
    evaluation: EvaluationSettings,
    margins: ComparisonSettings,
) -> ComparisonResult:
    """Compare two versions that fitting again makes one: only a significant difference as they are served counts.

    `risks` are of the days that neither learned from, usually one, which is too few to show non-inferiority.
    """
    if risks is None or risks.are_identical:
        return identical(SAME_RECIPE, flips, margins)
    metrics = compare_metrics(risks, {"log_loss": log_loss}, evaluation)
    compared = metrics["log_loss"]
    subject = (
        f"as they are served on {len(risks.challenger):,} snapshots of days that neither learned from, its log loss"
    )
    if compared.difference.low <= 0 <= compared.difference.high:
        return identical(f"{SAME_RECIPE}; {subject} differs by {_format_difference(compared)}", flips, margins)
    is_worse = compared.difference.low > 0
    reason = f"{subject} is significantly {'higher' if is_worse else 'lower'}, by {_format_difference(compared)}"
    counts = len(risks.challenger), int(risks.data.churned.sum())
    faults = tuple(_flip_faults(flips, margins.max_flip_share))
    verdict: Verdict = "inferior" if is_worse or faults else "superior"
    return ComparisonResult(verdict, (reason, *faults), *counts, metrics=metrics, explanation_flips=flips)


def identical(reason: str, flips: ExplanationFlips | None, margins: ComparisonSettings) -> ComparisonResult:
    """The result for two versions that no past day can tell apart; inferior if they explain too many accounts anew."""
    faults = tuple(_flip_faults(flips, margins.max_flip_share))
    return ComparisonResult("inferior" if faults else "identical", faults or (reason,), explanation_flips=flips)


def not_comparable(reason: str) -> ComparisonResult:
    """The result for two models that no snapshot can compare."""
    return ComparisonResult("not_comparable", (reason,))


def _compare_segments(
    risks: PairedRisks, evaluation: EvaluationSettings, margins: ComparisonSettings
) -> dict[str, SegmentComparison]:
    """The log loss within each segment."""
    if risks.segments is None:
        return {}
    names = sorted({str(name) for name in risks.segments[pd.notna(risks.segments)]})
    return {name: _compare_segment(risks.subset(risks.segments == name), evaluation, margins) for name in names}


def _compare_segment(
    risks: PairedRisks, evaluation: EvaluationSettings, margins: ComparisonSettings
) -> SegmentComparison:
    churned = int(risks.data.churned.sum())
    compared = compare_metrics(risks, {"log_loss": log_loss}, evaluation)["log_loss"]
    return SegmentComparison(len(risks.challenger), churned, churned >= margins.min_churned, compared)


def _log_loss_faults(log_loss: PairedMetric, relative_margin: float) -> Iterator[str]:
    if log_loss.difference.low > 0:
        yield f"its log loss is significantly higher, by {_format_difference(log_loss)}"
    else:
        yield from _margin_fault("its log loss", log_loss, relative_margin * log_loss.champion)


def _calibration_faults(error: PairedMetric, margin: float) -> Iterator[str]:
    yield from _margin_fault("its calibration error", error, margin)


def _segment_faults(name: str, segment: SegmentComparison, margins: ComparisonSettings) -> Iterator[str]:
    if segment.tested:
        counts = f"{segment.snapshots} snapshots, {segment.churned} churned"
        margin = margins.segment_log_loss_margin * segment.log_loss.champion
        yield from _margin_fault(f"in the segment '{name}' ({counts}) its log loss", segment.log_loss, margin)


def _margin_fault(subject: str, metric: PairedMetric, margin: float) -> Iterator[str]:
    if metric.difference.high > margin:
        yield f"{subject} may be {metric.difference.high:.4f} higher; the allowed margin is {margin:.4f}"


def _flip_faults(flips: ExplanationFlips | None, max_share: float) -> Iterator[str]:
    if flips and flips.share.value > max_share:
        accounts = f"{flips.flipped} of the {flips.accounts} riskiest accounts on {flips.as_of}"
        yield f"{accounts} would get another main family; at most {max_share:.0%} may"


def _describe_log_loss(log_loss: PairedMetric, is_superior: bool) -> str:
    difference = _format_difference(log_loss)
    if is_superior:
        return f"its log loss is significantly lower, by {difference}"
    return f"its log loss differs by {difference}, which is within the margin"


def _format_difference(metric: PairedMetric) -> str:
    difference = metric.difference
    return f"{difference.value:+.4f} [{difference.low:+.4f}, {difference.high:+.4f}]"
