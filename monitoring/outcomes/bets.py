"""Bets on how risks could be wrong: too low or high, too spread or flat, or wrong by one family or segment.

A bet is a likelihood ratio of cohorts: the odds shifted as the bet says, against the largest shift that is tolerated.
Where the risks are right within what is tolerated, its expectation is at most 1, so its size is evidence (an e-value:
Shin, Ramdas & Rinaldo, 2022). Tolerated is what a champion cannot know itself: its level and weights rest on few
departures.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit, log_expit, logit

FloatArray = NDArray[np.float64]
Cause = Literal["level", "slope", "family", "segment"]
MIN_LEVEL_TOLERANCE = float(np.log(1.25))  # odds off by a quarter are not worth acting on
MIN_WEIGHT_TOLERANCE = 0.25
MAX_WEIGHT_TOLERANCE = 0.65  # beyond it, a family whose whole weight is gone could not be told from chance
BEYOND_LEVEL, BEYOND_WEIGHT = (0.3, 0.7), (0.35, 0.75)
RISK_LIMIT, FEATURE_LIMIT = 1e-5, 2.0
LEVEL_STEPS = 4


@dataclass(frozen=True)
class Cohort:
    """Accounts whose risks were served on a day and whose answers are known.

    `risks` are those of leaving within the cohort's days, `churned` is 1.0 or 0.0. `families` has each family's part of
    the log-odds, `segments` the segment of each account (empty if unknown).
    """

    started: datetime
    version: int
    risks: FloatArray
    churned: FloatArray
    families: Mapping[str, FloatArray]
    segments: NDArray[np.str_]

    @property
    def log_odds(self) -> FloatArray:
        return logit(np.clip(self.risks, RISK_LIMIT, 1 - RISK_LIMIT))


@dataclass(frozen=True)
class Doubt:
    """What a champion cannot know about itself: the departures behind its level, and how far levels drift.

    `drift_sd` is the standard deviation, in log-odds, of the drift since then, `segment_sd` that of a segment's own
    level. `critical` is the number of standard deviations that is tolerated.
    """

    departures: int
    drift_sd: float
    segment_sd: float
    critical: float

    @property
    def level(self) -> float:
        """The tolerated shift of all log-odds."""
        return max(MIN_LEVEL_TOLERANCE, self.critical * self.level_sd)

    @property
    def segment_level(self) -> float:
        """The tolerated shift of the log-odds of a segment."""
        return max(MIN_LEVEL_TOLERANCE, self.critical * float(np.hypot(self.level_sd, self.segment_sd)))

    def weight(self, variance: float) -> float:
        """The tolerated change of the weight of a part of the log-odds with this variance among those who leave."""
        return max(MIN_WEIGHT_TOLERANCE, self.critical * self.weight_sd(variance))

    def weight_sd(self, variance: float) -> float:
        """The standard deviation of the weight of such a part; infinite if the departures say nothing of it."""
        information = self.departures * variance
        return 1 / float(np.sqrt(information)) if information > 0 else np.inf

    @property
    def level_sd(self) -> float:
        """The standard deviation of the shift of all log-odds."""
        return float(np.sqrt(1 / max(self.departures, 1) + self.drift_sd**2))


@dataclass(frozen=True)
class Bet:
    """What is wrong with the risks: the cause, the family or segment, in which direction, and how far beyond doubt."""

    cause: Cause
    name: str
    sign: int
    strength: int

    def log_ratio(self, cohort: Cohort, doubt: Doubt) -> float:
        """The log of the bet's gain on a cohort, 0 if the cohort does not show what the bet is about."""
        direction, tolerated, beyond = self._direction(cohort, doubt)
        if direction is None:
            return 0.0
        base = cohort.log_odds
        null = base + self.sign * tolerated * direction
        shifted = base + self.sign * (tolerated + beyond[self.strength]) * direction
        if self.cause != "level":
            shifted = _at_level_of(null, shifted)
        gain = _log_likelihood(shifted, cohort.churned) - _log_likelihood(null, cohort.churned)
        return gain - self._log_expectation(
            shifted, null, base, _tolerated_grid(doubt, direction, self.sign * tolerated)
        )

    def _direction(self, cohort: Cohort, doubt: Doubt) -> tuple[FloatArray | None, float, tuple[float, float]]:
        """Along what the log-odds are shifted, how far is tolerated, and the steps beyond; None: no bet."""
        if self.cause == "level":
            return np.ones(len(cohort.risks)), doubt.level, BEYOND_LEVEL
        if self.cause == "segment":
            is_member = cohort.segments == self.name
            return (is_member.astype(np.float64) if is_member.any() else None), doubt.segment_level, BEYOND_LEVEL
        part = cohort.log_odds if self.cause == "slope" else cohort.families.get(self.name)
        if part is None:
            return None, 0.0, BEYOND_WEIGHT
        centred = _centre(part, cohort.risks)
        tolerated = doubt.weight(float(np.average(centred**2, weights=cohort.risks)))
        return (centred if tolerated <= MAX_WEIGHT_TOLERANCE else None), tolerated, BEYOND_WEIGHT

    @staticmethod
    def _log_expectation(shifted: FloatArray, null: FloatArray, base: FloatArray, grid: Sequence[FloatArray]) -> float:
        """The log of the largest expected gain over the tolerated shifts, at least 0: by it the gain is divided."""
        up, down = expit(shifted) / expit(null), expit(-shifted) / expit(-null)
        expected = [np.log(expit(base + shift) * up + expit(-base - shift) * down).sum() for shift in grid]
        return max(0.0, float(np.max(expected)))


def make_bets(cohorts: Sequence[Cohort]) -> list[Bet]:
    """Every bet on the families and segments of these cohorts."""
    families = sorted({family for cohort in cohorts for family in cohort.families})
    segments = sorted({str(name) for cohort in cohorts for name in np.unique(cohort.segments) if name})
    subjects: list[tuple[Cause, str]] = [("level", ""), ("slope", "")]
    subjects.extend([("family", family) for family in families])
    subjects.extend([("segment", segment) for segment in segments])
    return [Bet(cause, name, sign, strength) for cause, name in subjects for sign in (-1, 1) for strength in (0, 1)]


def bet_weights(bets: Sequence[Bet]) -> FloatArray:
    """The share of the evidence of each bet: half for the level, the rest evenly for all others."""
    is_level = np.array([bet.cause == "level" for bet in bets])
    others = max(int((~is_level).sum()), 1)
    return np.where(is_level, 0.5 / max(int(is_level.sum()), 1), 0.5 / others)


def _tolerated_grid(doubt: Doubt, direction: FloatArray, tolerated: float) -> list[FloatArray]:
    """Shifts of the log-odds that are tolerated: every level, alone and with the tolerated shift along a direction."""
    levels = [level * np.ones(len(direction)) for level in (-doubt.level, 0.0, doubt.level)]
    is_constant = bool(np.isin(direction, (0.0, 1.0)).all())
    return levels if is_constant else [*levels, *(level + tolerated * direction for level in levels)]


def _centre(part: FloatArray, risks: FloatArray) -> FloatArray:
    """The part around its mean among those who are expected to leave, so that a wrong level is no sign of it."""
    clipped = np.clip(part - np.average(part, weights=risks), -FEATURE_LIMIT, FEATURE_LIMIT)
    return clipped - np.average(clipped, weights=risks)


def _at_level_of(null: FloatArray, shifted: FloatArray) -> FloatArray:
    """The shifted log-odds, moved so that as many are expected to leave as under the null.

    Else a bet on a family would also be a bet on the level, which is tolerated to be off, and pay for that.
    """
    expected = expit(null).sum()
    for _ in range(LEVEL_STEPS):  # each step leaves a share of the error that is about the mean risk
        shifted = shifted + np.log(expected / expit(shifted).sum())
    return shifted


def _log_likelihood(log_odds: FloatArray, churned: FloatArray) -> float:
    return float(np.where(churned > 0, log_expit(log_odds), log_expit(-log_odds)).sum())
