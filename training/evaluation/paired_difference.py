"""Comparison: by how much one set of risks is truer than another on the very same snapshots."""

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import pandas as pd

from configs.settings import EvaluationSettings
from training.data.cluster_bootstrap import bounds, resamples
from training.evaluation import metrics
from training.evaluation.baselines import Baseline
from training.evaluation.metrics import Tally, tally
from training.evaluation.scorecard import Cases, Evaluation, Interval, evaluate
from training.model.calibrator import CERTAIN


def log_loss_gained(cases: Cases, risks: np.ndarray, rival: np.ndarray, settings: EvaluationSettings) -> Interval:
    """Log loss of `risks` less that of `rival`, below 0 where `risks` are truer; paired, by bootstrap of accounts.

    The interval is at the confidence at which a baseline counts as beaten.
    """
    difference = _surprise(cases.churned, risks) - _surprise(cases.churned, rival)
    batches = resamples(cases.names, settings.bootstrap_samples)
    drawn = np.concatenate([weights @ difference / weights.sum(axis=1) for weights in batches])
    return Interval(float(difference.mean()), *bounds(drawn, settings.confidence))


def compared(
    cases: Cases, risks: np.ndarray, rivals: Sequence[Baseline], settings: EvaluationSettings
) -> dict[str, dict[str, Any]]:
    """The model's log loss less that of each baseline, below 0 where the model is truer, and whether it must be."""
    found = [(one, log_loss_gained(cases, risks, one.risks, settings)) for one in rivals]
    return {one.name: {**asdict(gained), "must_be_beaten": one.must_be_beaten} for one, gained in found}


def mean_log_loss(churned: np.ndarray, risks: np.ndarray) -> float:
    """Mean surprise at the answers, in nats."""
    return float(_surprise(churned, risks).mean())


def by_segment(
    cases: Cases, risks: np.ndarray, segments: np.ndarray, settings: EvaluationSettings
) -> dict[str, Evaluation]:
    """The evaluation of each segment's snapshots; one in which nobody churned or nobody stayed is left out."""
    found = {}
    for segment in sorted(set(segments[pd.notna(segments)])):
        mine = segments == segment
        part = cases.part(mine)
        if 0 < part.churned.sum() < len(part.churned):
            found[str(segment)] = evaluate(part, risks[mine], settings)
    return found


def _surprise(churned: np.ndarray, risks: np.ndarray) -> np.ndarray:
    sure = np.clip(risks, CERTAIN, 1 - CERTAIN)
    return -(churned * np.log(sure) + (1 - churned) * np.log1p(-sure))


Metric = Callable[[Tally], np.ndarray]


@dataclass(frozen=True)
class Bout:
    """What both risked on the same snapshots, in one order; `segments` None where the data has none."""

    cases: Cases
    challenger: np.ndarray
    champion: np.ndarray
    segments: np.ndarray | None = None


@dataclass(frozen=True)
class Compared:
    """A figure of both, and the challenger's less the champion's with its paired interval."""

    challenger: float
    champion: float
    difference: Interval


def compare(bout: Bout, settings: EvaluationSettings) -> dict[str, Compared]:
    """Every figure of both with the paired interval of their difference, by bootstrap of accounts."""
    capacity = settings.capacity * bout.cases.days
    asked: dict[str, Metric] = {
        "log_loss": metrics.log_loss,
        "auc": metrics.auc,
        "average_precision": metrics.average_precision,
        "calibration_error": metrics.calibration_error,
    }
    calls = Bout(bout.cases, bout.cases.called(bout.challenger), bout.cases.called(bout.champion))
    caught = _figures(calls, {"revenue_at_capacity": lambda t: metrics.revenue_at(t, capacity)}, settings)
    found = _figures(bout, asked, settings) | caught
    return {name: one for name, one in found.items() if not np.isnan(one.difference.value)}


def _figures(bout: Bout, asked: dict[str, Metric], settings: EvaluationSettings) -> dict[str, Compared]:
    of, sides = bout.cases, (bout.challenger, bout.champion)
    whole = [tally(of.churned, risks, revenue=of.revenue) for risks in sides]
    drawn: dict[str, list[np.ndarray]] = {name: [] for name in asked}
    for weights in resamples(of.names, settings.bootstrap_samples):
        first, second = (tally(of.churned, risks, weights, of.revenue) for risks in sides)
        for name, metric in asked.items():
            drawn[name].append(metric(first) - metric(second))
    found = {}
    for name, metric in asked.items():
        ours, theirs = (float(metric(one)[0]) for one in whole)
        spread = bounds(np.concatenate(drawn[name]), settings.confidence)
        found[name] = Compared(ours, theirs, Interval(ours - theirs, *spread))
    return found
