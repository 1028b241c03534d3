"""Plays: do accounts with a play leave less often than accounts whose play was held out at random?

Held-out accounts show what would have happened without plays. The expected departures of both groups say how many of
those who left should have had a play; a lower share is evidence that plays work, whatever the level of the risks is.
"""

# pyright: reportUnknownArgumentType=false, reportUnknownVariableType=false, reportUnknownMemberType=false
# (scipy.special is imported in a third of the time of scipy.stats; its stubs do not know the inverses)

from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy.special import betaincinv, logsumexp

from monitoring.evidence.budget import yearly_budget
from monitoring.outcomes.cohorts import HELD_OUT, PLAY
from training.labels.definition import CHURNED

EFFECTS = (0.5, 0.7, 0.85)  # the rate with a play over the rate without
CONFIDENCE = 0.95


@dataclass(frozen=True)
class PlayEvidence:
    """Departures with a play and held out, the rate ratio with its interval, and the evidence that plays save.

    The ratio compares accounts that were assigned a play with accounts that were assigned one and held out, both
    relative to their risks. It is None if no account was held out, or nobody left: then it cannot be known.
    """

    left_with_play: float
    left_held_out: float
    ratio: float | None
    low: float | None
    high: float | None
    evidence: float
    threshold: float

    @property
    def is_alarm(self) -> bool:
        return self.evidence >= self.threshold


def judge_plays(rows: pd.DataFrame, false_alarms_per_year: float) -> PlayEvidence:
    """The evidence in cohorts, which must not overlap: day by day a bet on who of the departures had a play."""
    days = [(_count(day, PLAY), _count(day, HELD_OUT)) for _, day in rows.groupby("as_of", sort=True)]
    usable = [(play, held_out) for play, held_out in days if play[1] > 0 and held_out[1] > 0]
    play, held_out = (np.sum([day[side] for day in usable], axis=0) if usable else np.zeros(2) for side in (0, 1))
    log_bets = [sum(_log_gain(*day, effect) for day in usable) for effect in EFFECTS]
    ratio, low, high = _ratio(play, held_out)
    evidence = float(np.exp(logsumexp(log_bets) - np.log(len(EFFECTS)))) if usable else 0.0
    return PlayEvidence(
        float(play[0]), float(held_out[0]), ratio, low, high, evidence, 1 / yearly_budget(false_alarms_per_year)
    )


def _count(day: pd.DataFrame, care: str) -> tuple[float, float]:
    """How many left, and how many were expected to."""
    group = day[day.care == care]
    return float(group[CHURNED].sum()), float(group.risk.sum())


def _log_gain(play: tuple[float, float], held_out: tuple[float, float], effect: float) -> float:
    """The log likelihood ratio of the split of departures, if plays multiply the rate by `effect`."""
    usual = play[1] / (play[1] + held_out[1])
    better = effect * play[1] / (effect * play[1] + held_out[1])
    return play[0] * float(np.log(better / usual)) + held_out[0] * float(np.log((1 - better) / (1 - usual)))


def _ratio(play: np.ndarray, held_out: np.ndarray) -> tuple[float | None, float | None, float | None]:
    """The rate ratio, relative to the risks, with its exact interval (Clopper & Pearson, 1934)."""
    if not held_out[0] or not play[1]:
        return None, None, None
    tail = (1 - CONFIDENCE) / 2
    low = float(betaincinv(play[0], held_out[0] + 1, tail)) if play[0] else 0.0
    high = float(betaincinv(play[0] + 1, held_out[0], 1 - tail))
    scale = float(held_out[1] / play[1])
    ratio = play[0] / held_out[0] * scale
    return float(ratio), low / (1 - low) * scale, high / (1 - high) * scale
