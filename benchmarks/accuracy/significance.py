"""Noise: what chance alone could make of a lead, on days to come and among many comparisons at once.

Accounts drawn again say nothing of the days: every contestant learned its level from the same past days, and the rate
of the test day is one draw around what these foretell. It moves log losses by how far apart the contestants' levels
lie, and no ranking. A day's draw is as wide as rates moved, before the first test, over the time that an answer takes.
A rival leads beyond noise where its lead is among the discoveries of all comparisons of a table, every rival by every
figure, at once (Benjamini & Hochberg, 1995).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy.special import expit, logit
from scipy.stats import false_discovery_control, norm

from configs.settings import LabelSettings
from training.labels.definition import CHURNED, matures_at

FALSE_DISCOVERIES = 0.05
SEED = 7
SURE = 1e-6


@dataclass(frozen=True)
class Daily:
    """The test day of each snapshot, as a number from 0, and the standard deviation of a day's draw in log-odds."""

    days: np.ndarray
    spread: float

    def moves(self, risks: np.ndarray, others: np.ndarray, count: int) -> np.ndarray:
        """What `count` draws of the days add to the mean log loss of `risks` less that of `others`.

        The same draws every time, so that all comparisons see the same days. Log loss is linear in the answers: a day
        whose log-odds lie higher by d adds d * p * (1 - p) churned in each snapshot, each of which takes off how much
        surer of it one was than the other.
        """
        logits, other_logits = (logit(np.clip(risk_array, SURE, 1 - SURE)) for risk_array in (risks, others))
        p = expit((logits + other_logits) / 2)
        taken_off = np.bincount(self.days, p * (1 - p) * (logits - other_logits)) / len(risks)
        drawn = np.random.default_rng(SEED).normal(0.0, self.spread, (count, len(taken_off)))
        return -drawn @ taken_off


def day_spread(rows: pd.DataFrame, label: LabelSettings) -> float:
    """How far a day's log-odds of leaving lie from those of the newest day whose answers were known on it.

    The root mean square over all days that have such a day, less what the chance of their answers adds to it.
    """
    days = rows.groupby("as_of")[CHURNED].agg(["sum", "count"]).sort_index()
    rate = (days["sum"] + 0.5) / (days["count"] + 1)
    log_odds, chance = logit(rate), 1 / (days["count"] * rate * (1 - rate))
    matured = pd.Series([matures_at(day.to_pydatetime(), label) for day in days.index])
    before = matured.searchsorted(days.index, side="right") - 1
    has_past_rate = before >= 0
    changes = log_odds.to_numpy()[has_past_rate] - log_odds.to_numpy()[before[has_past_rate]]
    by_chance = chance.to_numpy()[has_past_rate] + chance.to_numpy()[before[has_past_rate]]
    return float(np.sqrt(max(np.mean(changes**2 - by_chance), 0.0))) if has_past_rate.any() else 0.0


def chance_of(lead: float, drawn: np.ndarray) -> float:
    """How likely a lead so large is where there is none, by the spread of what was drawn (one-sided, normal)."""
    spread = np.nanstd(drawn)
    return float(norm.sf(lead / spread)) if spread > 0 else 1.0


def discoveries(chances: Mapping[tuple[str, str], float]) -> Sequence[tuple[str, str]]:
    """Which of all leads are beyond noise, no more than one in twenty of them in error."""
    if not chances:
        return []
    adjusted = false_discovery_control(list(chances.values()))
    return [comparison for comparison, p_value in zip(chances, adjusted, strict=True) if p_value <= FALSE_DISCOVERIES]
