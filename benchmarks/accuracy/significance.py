"""Significance of differences between models, on other days and among many comparisons at once.

Resampling accounts ignores that days differ: every model learned its level from the same past days, and the churn rate
of a test day is one draw around what these predict. Such a draw changes log losses by how far apart the levels of two
models are, and changes no ranking. Its spread is estimated from past changes of the rate over the time that a label
takes to mature. A difference is significant after the correction for all comparisons of a table, every model by every
metric (Benjamini & Hochberg, 1995).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy.special import expit, logit
from scipy.stats import false_discovery_control, norm

from configs.sections.label import LabelSettings
from training.labels.definition import CHURNED, matures_at

MAX_FALSE_DISCOVERY_RATE = 0.05
SEED = 7
EPSILON = 1e-6


@dataclass(frozen=True)
class DayNoise:
    """The test day of each snapshot, as a number from 0, and the standard deviation of a day's draw in log-odds."""

    days: np.ndarray
    spread: float

    def day_shifts(self, risks: np.ndarray, others: np.ndarray, count: int) -> np.ndarray:
        """What `count` draws of the days add to the mean log loss of `risks` minus that of `others`.

        The draws are the same every time, so all comparisons see the same days. Log loss is linear in the labels: on a
        day whose log-odds are higher by d, each snapshot has d * p * (1 - p) more churned, and each of these lowers the
        difference by that of the two log-odds.
        """
        logits, other_logits = (logit(np.clip(risk_array, EPSILON, 1 - EPSILON)) for risk_array in (risks, others))
        p = expit((logits + other_logits) / 2)
        reduction = np.bincount(self.days, p * (1 - p) * (logits - other_logits)) / len(risks)
        resampled = np.random.default_rng(SEED).normal(0.0, self.spread, (count, len(reduction)))
        return -resampled @ reduction


def day_spread(rows: pd.DataFrame, label: LabelSettings) -> float:
    """The standard deviation of the change of the log-odds since the newest day whose labels were known.

    It is the root mean square over all days that have such a day, less the sampling error of their rates.
    """
    days = rows.groupby("as_of")[CHURNED].agg(["sum", "count"]).sort_index()
    rate = (days["sum"] + 0.5) / (days["count"] + 1)
    log_odds, variance = logit(rate), 1 / (days["count"] * rate * (1 - rate))
    matured = pd.Series([matures_at(day.to_pydatetime(), label) for day in days.index])
    before = matured.searchsorted(days.index, side="right") - 1
    has_past_rate = before >= 0
    changes = log_odds.to_numpy()[has_past_rate] - log_odds.to_numpy()[before[has_past_rate]]
    sampling_variance = variance.to_numpy()[has_past_rate] + variance.to_numpy()[before[has_past_rate]]
    return float(np.sqrt(max(np.mean(changes**2 - sampling_variance), 0.0))) if has_past_rate.any() else 0.0


def p_value(lead: float, resampled: np.ndarray) -> float:
    """The one-sided p-value of a lead, with a normal distribution that has the spread of the resamples."""
    spread = np.nanstd(resampled)
    return float(norm.sf(lead / spread)) if spread > 0 else 1.0


def significant_differences(p_values: Mapping[tuple[str, str], float]) -> Sequence[tuple[str, str]]:
    """The comparisons that are significant at a false discovery rate of one in twenty."""
    if not p_values:
        return []
    adjusted = false_discovery_control(list(p_values.values()))
    is_significant = adjusted <= MAX_FALSE_DISCOVERY_RATE
    return [comparison for comparison, significant in zip(p_values, is_significant, strict=True) if significant]
