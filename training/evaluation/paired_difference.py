"""Paired difference: how much the metrics of two sets of risks differ on the same snapshots."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
import pandas as pd

from configs.sections.evaluation import EvaluationSettings
from training.calibration.calibrator import PROBABILITY_EPSILON
from training.data.cluster_bootstrap import bootstrap_weights, percentile_interval
from training.evaluation import metrics
from training.evaluation.baselines import Baseline
from training.evaluation.metrics import WeightedCounts, count_by_group, count_by_risk
from training.evaluation.scorecard import EvaluationData, Interval, Scorecard, evaluate_risks

Metric = Callable[..., np.ndarray]  # of the counts of each group of snapshots


@dataclass(frozen=True)
class PairedRisks:
    """The risks of challenger and champion on the same snapshots, in one order; `segments` is None without segments.

    `rankings` order the snapshots as both serve them, if the risks of one come from several calibrations.
    """

    data: EvaluationData
    challenger: np.ndarray
    champion: np.ndarray
    segments: np.ndarray | None = None
    rankings: tuple[np.ndarray, np.ndarray] | None = None

    @property
    def are_identical(self) -> bool:
        """Whether both give every snapshot the same risk."""
        return np.array_equal(self.challenger, self.champion)

    def ranked(self) -> "PairedRisks":
        """The rankings in place of the risks."""
        challenger, champion = self.rankings or (self.challenger, self.champion)
        return PairedRisks(self.data, challenger, champion)

    def subset(self, mask: np.ndarray) -> "PairedRisks":
        """The chosen snapshots, without their segments."""
        return PairedRisks(self.data.subset(mask), self.challenger[mask], self.champion[mask])


@dataclass(frozen=True)
class PairedMetric:
    """A metric of both, and the challenger's minus the champion's with its paired interval."""

    challenger: float
    champion: float
    difference: Interval


@dataclass(frozen=True)
class BaselineComparison:
    """The model's log loss minus that of a baseline: below 0 if the model is better, as it has to be against some."""

    difference: Interval
    must_be_beaten: bool


def log_loss_difference(
    data: EvaluationData, risks: np.ndarray, other: np.ndarray, settings: EvaluationSettings
) -> Interval:
    """Log loss of `risks` minus that of `other`: below 0 if `risks` are better; paired, by a bootstrap of accounts."""
    difference = _log_losses(data.churned, risks) - _log_losses(data.churned, other)
    batches = bootstrap_weights(data.clusters, settings.bootstrap_samples)
    resampled = np.concatenate([weights @ difference / weights.sum(axis=1) for weights in batches])
    return Interval(float(difference.mean()), *percentile_interval(resampled, settings.confidence))


def compare_with_baselines(
    data: EvaluationData, risks: np.ndarray, baselines: Sequence[Baseline], settings: EvaluationSettings
) -> dict[str, BaselineComparison]:
    """The log loss of the model compared with that of each baseline, by the baseline's name."""
    return {
        baseline.name: BaselineComparison(
            log_loss_difference(data, risks, baseline.risks, settings), baseline.must_be_beaten
        )
        for baseline in baselines
    }


def mean_log_loss(churned: np.ndarray, risks: np.ndarray) -> float:
    """Mean negative log-likelihood of the labels, in nats."""
    return float(_log_losses(churned, risks).mean())


def segment_masks(segments: np.ndarray) -> dict[str, np.ndarray]:
    """Which rows belong to each segment, by its name; rows without a segment belong to none."""
    return {str(segment): segments == segment for segment in sorted(set(segments[pd.notna(segments)]))}


def evaluate_segments(
    data: EvaluationData, risks: np.ndarray, segments: np.ndarray, settings: EvaluationSettings
) -> dict[str, Scorecard]:
    """The scorecard of each segment in which some accounts churned and some stayed."""
    scorecards: dict[str, Scorecard] = {}
    for segment, mask in segment_masks(segments).items():
        part = data.subset(mask)
        if 0 < part.churned.sum() < len(part.churned):
            scorecards[segment] = evaluate_risks(part, risks[mask], settings)
    return scorecards


def compare_risks(pair: PairedRisks, settings: EvaluationSettings) -> dict[str, PairedMetric]:
    """Every defined metric of both, with the paired interval of the difference, by a bootstrap of accounts."""
    data = pair.data
    calibration: dict[str, Metric] = {"log_loss": metrics.log_loss, "calibration_error": metrics.calibration_error}
    capacity: Metric = partial(metrics.revenue_at, capacity=settings.capacity * data.day_count)
    ranked = pair.ranked()
    calls = PairedRisks(data, data.call_order(ranked.challenger), data.call_order(ranked.champion))
    compared = compare_metrics(pair, calibration, settings)
    compared |= compare_metrics(ranked, {"auc": metrics.auc}, settings, within=data.day_masks)
    compared |= compare_metrics(ranked, {"average_precision": metrics.average_precision}, settings)
    compared |= compare_metrics(calls, {"revenue_at_capacity": capacity}, settings)
    return {name: metric for name, metric in compared.items() if not np.isnan(metric.difference.value)}


def compare_metrics(
    pair: PairedRisks,
    metrics_by_name: Mapping[str, Metric],
    settings: EvaluationSettings,
    *,
    within: Sequence[np.ndarray] = (),
) -> dict[str, PairedMetric]:
    """These metrics of both, with the paired interval of the difference, by a bootstrap of accounts.

    A metric gets the counts of each group of `within`, or those of all snapshots.
    """
    data, sides = pair.data, (pair.challenger, pair.champion)

    def count(risks: np.ndarray, weights: np.ndarray | None = None) -> list[WeightedCounts]:
        if within:
            return count_by_group(data.churned, risks, within, weights)
        return [count_by_risk(data.churned, risks, weights, data.revenue)]

    counts = [count(risks) for risks in sides]
    differences: dict[str, list[np.ndarray]] = {name: [] for name in metrics_by_name}
    for weights in bootstrap_weights(data.clusters, settings.bootstrap_samples):
        challenger, champion = (count(risks, weights) for risks in sides)
        for name, metric in metrics_by_name.items():
            differences[name].append(metric(*challenger) - metric(*champion))
    compared: dict[str, PairedMetric] = {}
    for name, metric in metrics_by_name.items():
        challenger, champion = (float(metric(*side)[0]) for side in counts)
        bounds = percentile_interval(np.concatenate(differences[name]), settings.confidence)
        compared[name] = PairedMetric(challenger, champion, Interval(challenger - champion, *bounds))
    return compared


def _log_losses(churned: np.ndarray, risks: np.ndarray) -> np.ndarray:
    clipped = np.clip(risks, PROBABILITY_EPSILON, 1 - PROBABILITY_EPSILON)
    return -(churned * np.log(clipped) + (1 - churned) * np.log1p(-clipped))
