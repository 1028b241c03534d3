"""Comparison: by how much one set of risks is truer than another on the very same snapshots."""

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

import numpy as np
import pandas as pd

from configs.settings import EvaluationSettings
from training.baselines import Baseline
from training.evaluation import Cases, Evaluation, Interval, evaluate
from training.metrics import CERTAIN
from training.resampling import bounds, resamples


def log_loss_gained(cases: Cases, risks: np.ndarray, rival: np.ndarray, settings: EvaluationSettings) -> Interval:
    """Log loss of `risks` less that of `rival`, below 0 where `risks` are truer; paired, by bootstrap of accounts.

    The interval is at the confidence at which a baseline counts as beaten.
    """
    difference = _surprise(cases.churned, risks) - _surprise(cases.churned, rival)
    batches = resamples(cases.names, settings.resamples)
    drawn = np.concatenate([weights @ difference / weights.sum(axis=1) for weights in batches])
    return Interval(float(difference.mean()), *bounds(drawn, settings.beaten_at))


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
