"""Whether a risk is rising or falling: an arrow only if it changed by more than its own noise.

The change is that of the log-odds between two days of one model version. An arrow needs both of these:

- the risk left the interval that 95 % of refits on other accounts give the earlier risk, whose width is stored with the
  model, and
- it moved further than risks move in the same time without a reason, both risks of about this size and all risks. Such
  moves have a longer tail than a normal distribution: most risks hardly move, and a few jump when a signal does. So how
  far one in `1 / TAIL_SHARE` of them goes is extrapolated from how far half of them and 90 % of them go, by a Weibull
  distribution. All risks count because where nine of ten do not move at all, their jumps cannot be extrapolated.

`TAIL_SHARE` is chosen so that of accounts whose hazard never changes at most `FALSE_ARROWS_A_YEAR` show an arrow in a
year of weekly looks, of the risk or of usage (see `usage_trend` and `benchmarks/serving/trend.py`).
"""

from dataclasses import dataclass
from math import log
from typing import get_args

import numpy as np

from serving.schemas.enums import Trend
from serving.scoring.model_bundle import NORMAL_975, ModelBundle

TRENDS: tuple[Trend, ...] = get_args(Trend)
FALSE_ARROWS_A_YEAR = 0.05
USAGE_SHARE = 0.75  # of this budget is that of the trend of usage, which shows a decline where the risk hardly moves
LOOKS_A_YEAR = 52
TAIL_SHARE = FALSE_ARROWS_A_YEAR * (1 - USAGE_SHARE) / LOOKS_A_YEAR
QUANTILES = (0.5, 0.9)
TAIL_SHAPES = (0.5, 2.0)  # from a tail so long that nothing should stand out to one like that of a normal distribution
MIN_ACCOUNTS = 30  # with fewer, nobody can say how far risks move without a reason
GROUPS = 4
EPSILON = 1e-9


@dataclass(frozen=True)
class RefitSpread:
    """How far refits on other accounts move a risk: standard deviations of log-odds, by rising log-odds."""

    log_odds: tuple[float, ...]
    deviations: tuple[float, ...]

    def at(self, log_odds: np.ndarray) -> np.ndarray:
        """The deviation at each of these log-odds."""
        return np.interp(log_odds, self.log_odds, self.deviations)


@dataclass(frozen=True)
class ModelDoubt:
    """What a model does not know: how far refits move a risk, and the deviation of the level of all log-odds.

    None of a model that was trained before they were kept.
    """

    refits: RefitSpread | None = None
    level_sd: float | None = None


@dataclass(frozen=True)
class RiskPair:
    """The risks of accounts now and on an earlier day, NaN where there was none, and whether one version gave both."""

    now: np.ndarray
    before: np.ndarray
    is_same_version: np.ndarray

    @property
    def is_compared(self) -> np.ndarray:
        """Whether the change of each account says something."""
        return np.isfinite(self.now) & np.isfinite(self.before) & self.is_same_version


def find_refit_spread(model: ModelBundle) -> RefitSpread | None:
    """The spread of the main risk of a model; None if it was trained before refits were kept."""
    if model.margin_spread is None:
        return None
    margins, deviations = (np.array(model.margin_spread[name]) for name in ("margins", "deviations"))
    low, middle, high = (
        to_log_odds(model.calibrator.predict_risks(margins + step)[:, model.main_horizon_index])
        for step in (-deviations, 0.0, deviations)
    )
    return RefitSpread(tuple(middle.tolist()), tuple(((high - low) / 2).tolist()))


def judge_trends(pair: RiskPair, spread: RefitSpread | None) -> np.ndarray:
    """The trend of each account, as its place in `TRENDS`."""
    trends = np.full(len(pair.now), TRENDS.index("not_known"))
    trends[~pair.is_same_version] = TRENDS.index("not_comparable")
    trends[~np.isfinite(pair.before)] = TRENDS.index("new")
    bands = find_noise_bands(pair, spread)
    changes = to_log_odds(pair.now) - to_log_odds(pair.before)
    is_judged = pair.is_compared & np.isfinite(bands)
    trends[is_judged] = TRENDS.index("steady")
    trends[is_judged & (changes > bands)] = TRENDS.index("rising")
    trends[is_judged & (changes < -bands)] = TRENDS.index("falling")
    return trends


def find_noise_bands(pair: RiskPair, spread: RefitSpread | None) -> np.ndarray:
    """How far the log-odds of each account may change without an arrow; NaN where that is not known."""
    bands = np.full(len(pair.now), np.nan)
    rows = np.flatnonzero(pair.is_compared)
    if spread is None or len(rows) < MIN_ACCOUNTS:
        return bands
    before = to_log_odds(pair.before[rows])
    moved = np.abs(to_log_odds(pair.now[rows]) - before)
    bands[rows] = np.maximum(NORMAL_975 * spread.at(before), _furthest_without_reason(before, moved))
    return bands


def _furthest_without_reason(log_odds: np.ndarray, moved: np.ndarray) -> np.ndarray:
    """How far a risk at each account's log-odds moves without a reason: the most of its group by log-odds, and of all.

    It does not see the accounts that really moved while they are fewer than a tenth; more of them make it larger. It
    is taken about zero, so that what moves everybody, such as a holiday, counts as noise.
    """
    groups = np.array_split(np.argsort(log_odds, kind="stable"), min(GROUPS, len(log_odds) // MIN_ACCOUNTS))
    centres = [float(np.median(log_odds[group])) for group in groups]
    by_size = np.interp(log_odds, centres, [extrapolate_tail(moved[group]) for group in groups])
    return np.maximum(by_size, extrapolate_tail(moved))


def extrapolate_tail(moved: np.ndarray, share: float = TAIL_SHARE) -> float:
    """The size that this share of moves exceed, by the Weibull distribution through their median and 90 % quantile.

    >>> moves = -np.log(1 - (np.arange(1000) + 0.5) / 1000)  # exponential, so that the answer is -log(share)
    >>> round(extrapolate_tail(moves), 1), round(-log(TAIL_SHARE), 1)
    (8.3, 8.3)
    """
    median, upper = np.quantile(moved, QUANTILES)
    at_median, at_upper, at_tail = (-log(part) for part in (1 - QUANTILES[0], 1 - QUANTILES[1], share))
    shape = log(max(upper, EPSILON) / max(median, EPSILON)) / log(at_upper / at_median)
    return float(upper) * (at_tail / at_upper) ** float(np.clip(shape, *TAIL_SHAPES))


def to_log_odds(risks: np.ndarray) -> np.ndarray:
    """The log-odds of risks, which stay finite at 0 and 1.

    >>> to_log_odds(np.array([0.5])).tolist()
    [0.0]
    """
    bounded = np.clip(risks, EPSILON, 1 - EPSILON)
    return np.log(bounded) - np.log1p(-bounded)
